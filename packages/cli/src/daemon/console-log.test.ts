import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ConsoleLog } from './console-log.js';

it('the log of a console keeps the newest bytes in two files of limited size', () => {
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-log-'));
  try {
    const log = new ConsoleLog(join(dir, 'console.log'), 100);
    for (let index = 0; index < 50; index += 1) log.write(Buffer.from(`line ${String(index).padStart(4)}\n`));
    log.close();
    const [old, now] = ['console.log.1', 'console.log'].map((name) => readFileSync(join(dir, name), 'utf8'));
    expect(`${old}${now}`).toMatch(/line +49\n$/);
    expect(Math.max(old?.length ?? 0, now?.length ?? 0)).toBeLessThanOrEqual(110);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

it('the log of a console whose directory was removed ends, and throws nothing', () => {
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-log-'));
  const log = new ConsoleLog(join(dir, 'console.log'), 10);
  rmSync(dir, { recursive: true });
  for (let index = 0; index < 5; index += 1) expect(() => log.write(Buffer.alloc(10))).not.toThrow();
  log.close();
});

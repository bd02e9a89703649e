import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../program.js';

const KEYS = ['1234567890abcdef', '1234567890abcfff', 'fedcba0987654321'].map((key) => key + '0'.repeat(16));
let dir: string;
let images: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-guest-test-'));
  images = join(dir, 'images');
  vi.stubEnv('QMPILOT_CACHE', dir);
  for (const key of KEYS) {
    mkdirSync(join(images, key), { recursive: true, mode: 0o755 });
    for (const file of ['vmlinuz', 'initrd.img', 'disk.qcow2']) writeFileSync(join(images, key, file), 'x');
    const manifest = { v: 1, name: 'debian', kernelRelease: '6.1.0', builtAt: '', buildMs: 1, packages: [] };
    writeFileSync(join(images, key, 'manifest.json'), JSON.stringify(manifest));
  }
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

async function guest(...args: readonly string[]): Promise<string> {
  let said = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((said += String(text)), true));
  try {
    await createProgram('1').parseAsync(['guest', ...args], { from: 'user' });
  } finally {
    vi.restoreAllMocks();
  }
  return said;
}

it('removes the image of a key as a narrow terminal shows it, and none for a beginning of two', async () => {
  const [, other = '', last = ''] = KEYS;
  const before = process.stdout.columns;
  process.stdout.columns = 32;
  const list = await guest('ls').finally(() => (process.stdout.columns = before));
  const [shown = ''] = /^fed\w*…/m.exec(list) ?? [];
  expect(shown).toMatch(/^fedcba0987\w+…$/);
  expect(await guest('rm', shown)).toBe(`${last}\n`);
  await expect(guest('rm', '1234567890abc')).rejects.toMatchObject({ code: 'USAGE' });
  expect(await guest('rm', '1234567890abcf')).toBe(`${other}\n`);
  expect(readdirSync(images)).toEqual([KEYS[0]]);
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const BIN = fileURLToPath(new URL('../../../packages/cli/dist/bin.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'qmpilot-scan-'));
afterAll(() => rmSync(directory, { recursive: true }));

test.each([
  ['', 'warning: I/O error on sda0\n'],
  ['--json', '{"v":1,"type":"finding"'],
])('findings exit 1 when the reader of the pipe has closed it: scan %s LOG | head', (option, start) => {
  const log = join(directory, 'log');
  // More than a pipe holds, so that head is gone before all is written.
  const lines = Array.from(
    { length: 4000 },
    (_, disk) => `[   10.000001] I/O error, dev sda${disk}, sector 2048 op 0x0\n`,
  );
  writeFileSync(log, lines.join(''));
  const command = '"$0" "$1" scan $3 "$2" | head -c 30; exit "${PIPESTATUS[0]}"';
  const { status, stdout, stderr } = spawnSync('bash', ['-c', command, process.execPath, BIN, log, option], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(stdout.startsWith(start)).toBe(true);
  expect(stderr).toBe('');
  expect(status).toBe(1);
});

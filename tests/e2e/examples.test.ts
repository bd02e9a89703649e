import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const tour = readFileSync(join(ROOT, 'examples/api-tour.ts'), 'utf8');

it('the tour of the API in the README is the one in examples/', () => {
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(`\`\`\`ts\n${tour}\`\`\``);
});

it('the tour runs, and prints what it says', async () => {
  const jiti = join(ROOT, 'packages/cli/node_modules/jiti/lib/jiti-cli.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [jiti, 'api-tour.ts'], { cwd: join(ROOT, 'examples'), timeout: 600_000 });
  expect(stdout).toMatch(/^kernel 6\.1\.\S+, exit code 3\n42 is the answer\nstate: before\nfound: kernel panic: sysrq triggered crash\npoweroff: (?:clean|slow): the machine powered off[^]*\n +\d+\.\d s  gone        QEMU is gone\n[^]*QMP sent SHUTDOWN \(guest-shutdown\)/);
});

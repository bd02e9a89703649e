import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGES } from '../../support/own-bug-example.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../../..');
const cli = join(root, 'packages/cli/dist/bin.js');
const jiti = join(root, 'packages/cli/node_modules/jiti/lib/jiti-cli.mjs');
/** From `apt-get install linux-source-6.1`. */
const SOURCE = '/usr/src/linux-source-6.1.tar.xz';
const maxBuffer = 1 << 26;

/** Compiles a kernel: half an hour on two cores. `QMPILOT_TEST_KERNEL` names a directory where it was built before. */
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')(
  'examples/your-own-bug with a kernel built from linux-source-6.1',
  () => {
    let dir: string;
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'qmpilot-own-kernel-'));
    });
    afterAll(() => rm(dir, { recursive: true, force: true }));

    it('is built, boots, and serves the port before and after a snapshot, a restore and a fork', async () => {
      let built = process.env['QMPILOT_TEST_KERNEL'];
      if (built === undefined) {
        await run('tar', ['-xf', SOURCE, '-C', dir]);
        built = join(dir, 'build');
        const args = [cli, 'kernel', 'build', join(dir, 'linux-source-6.1'), '--out', built];
        await run(process.execPath, args, { maxBuffer });
      }
      const example = join(root, 'examples/your-own-bug/check.ts');
      const { stdout } = await run(process.execPath, [jiti, example, built], { maxBuffer });
      expect(stdout).toMatch(/^\/dev\/vdb +ext4, Linux 6\.1\.\d+\n/);
      expect(stdout.split('\n').slice(1, -1)).toEqual(PAGES);
    }, 7_200_000);
  },
);

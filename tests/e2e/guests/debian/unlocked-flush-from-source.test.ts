import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian } from '@qmpilot/core';
import { buildKernel } from '@qmpilot/core/guests';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OVERFLOW } from '../../../support/ring-overflow.js';

const PACKAGE = 'linux-source-6.1';

/** Compiles a kernel: some 15 minutes of CPU time. */
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')('Debian’s kernel built from source without the fix', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-from-source-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it(
    'loses the lock of a ring that overflows, as the module makes the stock kernel do',
    { timeout: 3_600_000 },
    async (context) => {
      const run = (program: string, ...args: string[]) => {
        const { status, stderr, error } = spawnSync(program, args, { cwd: dir, encoding: 'utf8' });
        return status === 0 ? undefined : (error?.message ?? stderr);
      };
      const missing = run('apt-get', 'download', PACKAGE);
      if (missing !== undefined) return context.skip(`${PACKAGE} cannot be downloaded: ${missing}`);
      expect(run('dpkg-deb', '-x', readdirSync(dir).find((name) => name.endsWith('.deb')) ?? '', '.')).toBeUndefined();
      expect(run('tar', '-xf', `usr/src/${PACKAGE}.tar.xz`)).toBeUndefined();

      const tree = join(dir, PACKAGE);
      const path = join(tree, 'io_uring', 'io_uring.c');
      const source = readFileSync(path, 'utf8');
      const call = 'ret = __io_cqring_overflow_flush(ctx, false);\n';
      const fix = `\t\tmutex_lock(&ctx->uring_lock);\n\t\t${call}\t\tmutex_unlock(&ctx->uring_lock);\n`;
      expect(source.split(fix)).toHaveLength(2);
      writeFileSync(path, source.replace(fix, `\t\t${call}`));

      const { out } = await buildKernel(tree);
      await using vm = await boot(debian({ kernel: out }));
      await vm.expectOk('cat > /root/overflow.js', { input: OVERFLOW });
      await using watch = vm.watch({ hungTask: false, dState: { comm: /iou-sqp/, for: '5s' } });
      await vm.expectOk('UV_USE_IO_URING=1 setsid node /root/overflow.js > /dev/null 2>&1 &');
      const { title } = await watch.first({ kind: 'd-state', timeout: '5m' });
      expect(title).toMatch(/^D state: iou-sqp-\d+ .* in io_sq_thread$/);
    },
  );
});

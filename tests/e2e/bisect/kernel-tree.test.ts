import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BisectResult } from '@qmpilot/core/bisect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GitRepository } from '../../support/git-repository.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const SCENARIO = join(ROOT, 'tests/support/scenarios/npm-ci.repro.ts');
/** From `apt-get install linux-source-6.1`. */
const SOURCE = '/usr/src/linux-source-6.1.tar.xz';

/** Each one adds an initcall to this file, and so changes the kernel. */
const UNRELATED = [
  ...['fs/pipe.c', 'kernel/sys.c', 'io_uring/tctx.c', 'fs/eventpoll.c', 'net/socket.c', 'CULPRIT'],
  ...['mm/util.c', 'io_uring/net.c', 'BROKEN', 'REPAIRED', 'fs/namei.c', 'COMMENT', 'lib/kobject.c'],
];
const BROKEN = '\n#error "does not compile"\n';

/**
 * Compiles a kernel, and then again what each commit changes. `QMPILOT_TEST_WORK` names a directory for the tree and the builds that
 * is kept: a second run there takes what ccache has.
 */
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')('qmpilot bisect with the tree of Linux', () => {
  const kept = process.env['QMPILOT_TEST_WORK'];
  let dir: string;
  let repository: GitRepository;
  let culprit = '';
  beforeAll(async () => {
    dir = kept ?? mkdtempSync(join(tmpdir(), 'qmpilot-kernel-tree-'));
    mkdirSync(dir, { recursive: true });
    const tree = join(dir, 'linux-source-6.1');
    if (!existsSync(tree)) await run('tar', ['-xf', SOURCE, '-C', dir]);
    const isNew = !existsSync(join(tree, '.git'));
    repository = new GitRepository(tree);
    repository.git('config', 'gc.auto', '0');
    if (isNew) {
      // Debian's tree has a .gitignore that names everything.
      repository.git('add', '--all', '--force');
      repository.commit('linux-source-6.1', {});
    }
    const base = repository.git('rev-list', '--max-parents=0', 'HEAD');
    repository.git('checkout', '--quiet', '--force', '-B', 'main', base);
    repository.git('tag', '--force', 'v1');
    const change = (subject: string, file: string, changed: (text: string) => string) =>
      repository.commit(subject, { [file]: changed(readFileSync(join(tree, file), 'utf8')) });
    for (const [number, file] of UNRELATED.entries())
      if (file === 'CULPRIT')
        culprit = change('io_uring: flush overflows without the lock', 'io_uring/io_uring.c', (text) => {
          const call = '\t\tret = __io_cqring_overflow_flush(ctx, false);\n';
          const locked = `\t\tmutex_lock(&ctx->uring_lock);\n${call}\t\tmutex_unlock(&ctx->uring_lock);\n`;
          expect(text.split(locked)).toHaveLength(2);
          return text.replace(locked, call);
        });
      else if (file === 'BROKEN') change('fs: does not compile', 'fs/open.c', (text) => `${text}${BROKEN}`);
      else if (file === 'REPAIRED') change('fs: compiles again', 'fs/open.c', (text) => text.replace(BROKEN, ''));
      else if (file === 'COMMENT') change('io_uring: a comment', 'io_uring/rw.c', (text) => `${text}/* The end. */\n`);
      else
        change(`${file}: say that it is there`, file, (text) => {
          const call = `static int __init note_${number}(void)\n{\n\tpr_info("note ${number}\\n");\n\treturn 0;\n}\n`;
          return `${text}\n#include <linux/init.h>\n#include <linux/printk.h>\n${call}late_initcall(note_${number});\n`;
        });
  }, 1_800_000);
  afterAll(() => {
    if (kept === undefined) rmSync(dir, { recursive: true, force: true });
  });

  it('finds the commit that took out the two lines of the lock, by npm ci alone', async () => {
    const at = join(dir, 'case');
    const out = join(dir, 'kernel');
    const build = `node '${BIN}' kernel build . --out '${out}' && cp '${out}/arch/x86/boot/bzImage' "$QMPILOT_OUT"`;
    const range = ['--repo', repository.path, '--good', 'v1', '--bad', 'main'];
    const args = [SCENARIO, ...range, '--build', build, '--kernel', 'bzImage', '--out', at];
    const child = spawn(process.execPath, [BIN, 'bisect', ...args], {
      cwd: dir,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const code = await new Promise((done) => child.once('close', done));
    expect(code).toBe(0);
    const result: BisectResult = JSON.parse(readFileSync(join(at, 'result.json'), 'utf8'));
    expect(result).toMatchObject({
      state: 'confirmed',
      culprits: [{ commit: culprit, subject: 'io_uring: flush overflows without the lock' }],
      signature: 'npm ci does not end',
      commits: UNRELATED.length,
      revert: { failures: 0, isLower: true },
    });
  }, 14_400_000);
});

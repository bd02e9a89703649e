import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';
import { copyIn } from '../../../../packages/core/src/vm/copy/copy-in.js';
import { copyOut } from '../../../../packages/core/src/vm/copy/copy-out.js';
import { useHostGuest, work } from './host-guest.js';

const hostShell = useHostGuest();
let shell: ConsoleShell;
beforeAll(() => {
  shell = hostShell();
});

describe('a file of the kernel', () => {
  it.each(['/proc/version', '/sys/kernel/rcu_expedited'])(
    'comes with what is in it, whatever size it says that it has: %s',
    async (path) => {
      await copyOut(shell, path, join(work, 'of-the-kernel'), { timeout: '30s' });
      expect(readFileSync(join(work, 'of-the-kernel'), 'utf8')).toBe(readFileSync(path, 'utf8'));
    },
  );
});

function checkTree(folder: string): void {
  expect(readdirSync(folder).toSorted()).toEqual(['big', 'empty', 'link', 'sub dir']);
  expect(readFileSync(join(folder, 'big')).equals(readFileSync(join(work, 'tree/big')))).toBe(true);
  expect(readFileSync(join(folder, "link/it's"), 'utf8')).toBe('content\n');
  expect(statSync(join(folder, 'big'))).toMatchObject({ mode: 0o100755, mtimeMs: 1_000_000_000_000 });
  expect(statSync(join(folder, "sub dir/it's")).mode).toBe(0o100640);
}

describe('copyIn and copyOut', () => {
  it('copy a tree in and out: content, modes, times, links, strange names', async () => {
    const progress: number[] = [];
    const report = await copyIn(shell, join(work, 'tree'), join(work, 'in/made'), {
      onProgress: ({ bytes }) => progress.push(bytes),
    });
    expect(report).toEqual({ files: 3, bytes: 9_000_008, skipped: [] });
    expect(progress.length).toBeGreaterThan(1);
    checkTree(join(work, 'in/made'));
    expect(await copyOut(shell, join(work, 'in/made'), join(work, 'out/made'), {})).toEqual({
      files: 3,
      bytes: 9_000_008,
      skipped: [],
    });
    checkTree(join(work, 'out/made'));
    expect([readdirSync(join(work, 'in')), readdirSync(join(work, 'out'))]).toEqual([['made'], ['made']]);
  });

  it('copy one file, over another, and no tree over anything', async () => {
    await copyIn(shell, join(work, 'tree/empty'), join(work, 'one'), {});
    await copyIn(shell, join(work, "tree/sub dir/it's"), join(work, 'one'), {});
    expect(readFileSync(join(work, 'one'), 'utf8')).toBe('content\n');
    await copyOut(shell, join(work, 'one'), join(work, 'two'), {});
    expect(readFileSync(join(work, 'two'), 'utf8')).toBe('content\n');
    await expect(copyIn(shell, join(work, 'tree'), join(work, 'one'), {})).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await expect(copyOut(shell, join(work, 'tree'), join(work, 'two'), {})).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await expect(copyOut(shell, join(work, 'none'), join(work, 'three'), {})).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `copyOut: ${join(work, 'none')} not found in the guest`,
    });
  });

  it('copy any tree in, wherever the pieces of its archive end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 1, max: 120 })), {
          minLength: 20,
          maxLength: 40,
        }),
        fc.integer({ min: 8_000_000, max: 9_000_000 }),
        async (files, large) => {
          const from = mkdtempSync(join(work, 'any-'));
          const sizes = [...files, [large, 10] as const];
          for (const [index, [size, length]] of sizes.entries())
            writeFileSync(join(from, `${index}-${'x'.repeat(length)}`), Buffer.alloc(size, index + 1));
          const to = `${from}.in`;
          const report = await copyIn(shell, from, to, { timeout: '2m' });
          expect(report.files).toBe(sizes.length);
          expect(readdirSync(to).toSorted()).toEqual(readdirSync(from).toSorted());
          for (const name of readdirSync(from))
            expect(readFileSync(join(to, name)).equals(readFileSync(join(from, name)))).toBe(true);
          rmSync(from, { recursive: true });
          rmSync(to, { recursive: true });
        },
      ),
      { numRuns: 6 },
    );
  }, 300_000);

  it('copy in 2000 files of 4500 bytes', async () => {
    const from = join(work, 'many');
    mkdirSync(from);
    for (let i = 0; i < 2000; i += 1) writeFileSync(join(from, `f${i}`), Buffer.alloc(4500, i));
    expect(await copyIn(shell, from, join(work, 'many.in'), {})).toMatchObject({ files: 2000, bytes: 9_000_000 });
    expect(readFileSync(join(work, 'many.in/f1999')).equals(Buffer.alloc(4500, 1999))).toBe(true);
  });

  it('leave nothing behind when they are cancelled', async () => {
    for (const copy of [copyIn, copyOut]) {
      const abort = new AbortController();
      const going = copy(shell, join(work, 'tree'), join(work, 'half/made'), {
        signal: abort.signal,
        onProgress: () => abort.abort(),
      });
      await expect(going).rejects.toMatchObject({ code: 'ABORTED' });
      expect(readdirSync(join(work, 'half'))).toEqual([]);
    }
    expect((await shell.exec('echo on')).stdout).toBe('on\n');
  });

  it('say which call cannot read or find what, and why', async () => {
    await expect(copyIn(shell, '/nope', join(work, 'never'), {})).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'copyIn: /nope not found on this host',
    });
    await expect(copyIn(shell, join(work, 'tree/empty/x'), join(work, 'never'), {})).rejects.toMatchObject({
      code: 'IO',
      message: expect.stringMatching(/^copyIn: cannot read .*: ENOTDIR$/),
    });
  });

  it('end at once when the destination cannot be made', async () => {
    const below = join(work, 'tree/empty/x');
    await expect(copyIn(shell, join(work, 'tree'), below, { timeout: '1m' })).rejects.toMatchObject({
      code: 'COPY_FAILED',
      message: expect.stringMatching(/^copyIn: cannot write .* in the guest: mkdir: /),
    });
  });
});

import {
  createWriteStream,
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';
import { copyOut } from '../../../../packages/core/src/vm/copy/copy-out.js';
import { useHostGuest, work } from './host-guest.js';

const hostShell = useHostGuest();
let shell: ConsoleShell;
beforeAll(() => {
  shell = hostShell();
});

/** A guest whose `tar` gives these entries, and then runs a command; every other command goes to the real one. */
async function hostile(entries: readonly (readonly [tar.Headers, string?])[], then = 'exit'): Promise<ConsoleShell> {
  const pack = tar.pack();
  for (const [header, content] of entries) pack.entry(header, content ?? '');
  pack.finalize();
  const file = join(work, 'hostile.tar');
  await pipeline(pack, createWriteStream(file));
  return sending(`cat ${file}; ${then}`);
}

/** The shell of a guest that sends what `command` prints, whatever it is asked for. */
function sending(command: string): ConsoleShell {
  return new Proxy(shell, {
    get(target, key) {
      if (key === 'stream') return () => target.stream(command);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('copyOut from a hostile guest', () => {
  it.each<[string, tar.Headers & { readonly pax?: Readonly<Record<string, string>> }]>([
    ['a name that climbs', { name: 'a/../../evil' }],
    ['an absolute name', { name: '/tmp/evil-from-a-guest' }],
    ['a name twice', { name: 'good' }],
    ['a file in place of a folder', { name: 'good/below' }],
    ['a link in place of a file', { name: 'good', type: 'symlink', linkname: 'x' }],
    ['a name with a NUL', { name: 'a', pax: { path: 'a\0b' } }],
    ['a name that no file can have', { name: 'a', pax: { path: 'n'.repeat(300) } }],
    ['a link to a name that none can have', { name: 'a', type: 'symlink', linkname: 'n'.repeat(5000) }],
  ])('refuses an archive with %s', async (_what, header) => {
    const copying = copyOut(
      await hostile([
        [{ name: 'good' }, 'x'],
        [header, header.type === 'symlink' ? '' : 'x'],
      ]),
      join(work, 'tree'),
      join(work, 'trap'),
      {},
    );
    await expect(copying).rejects.toMatchObject({ code: 'COPY_FAILED' });
    expect([
      existsSync(join(work, 'trap')),
      existsSync(join(work, 'evil')),
      existsSync('/tmp/evil-from-a-guest'),
    ]).toEqual([false, false, false]);
  });

  it('ends at an invalid entry when the guest then sends nothing more', async () => {
    const copying = copyOut(
      await hostile([[{ name: '../evil' }, 'x']], 'sleep 1000'),
      join(work, 'tree'),
      join(work, 'silent'),
      {},
    );
    await expect(copying).rejects.toMatchObject({ code: 'COPY_FAILED', message: expect.stringContaining('"../evil"') });
    expect((await shell.exec('echo on')).stdout).toBe('on\n');
  });

  it('skips links that lead out of the folder and devices, and writes nothing through them', async () => {
    const shell = await hostile([
      [{ name: 'out', type: 'symlink', linkname: work }],
      [{ name: 'out/evil' }, 'x'],
      [{ name: 'up', type: 'symlink', linkname: '../..' }],
      [{ name: 'in', type: 'symlink', linkname: 'out/evil' }],
      [{ name: 'dev', type: 'block-device' }],
      [{ name: 'hard', type: 'link', linkname: '/etc/passwd' }],
    ]);
    const report = await copyOut(shell, join(work, 'tree'), join(work, 'tamed'), {});
    expect(report.skipped.map(({ name }) => name)).toEqual(['out', 'up', 'dev', 'hard']);
    expect(existsSync(join(work, 'evil'))).toBe(false);
    expect(readFileSync(join(work, 'tamed/out/evil'), 'utf8')).toBe('x');
    expect(readlinkSync(join(work, 'tamed/in'))).toBe('out/evil');
  });

  it('refuses to write through a link that stays inside the folder', async () => {
    const copying = copyOut(
      await hostile([
        [{ name: 'real', type: 'directory' }],
        [{ name: 'link', type: 'symlink', linkname: 'real' }],
        [{ name: 'link/x' }, 'x'],
      ]),
      join(work, 'tree'),
      join(work, 'through'),
      {},
    );
    await expect(copying).rejects.toMatchObject({ code: 'COPY_FAILED' });
  });

  it('skips a link that leads out of the folder through another link', async () => {
    const report = await copyOut(
      await hostile([
        [{ name: 'p/q/r', type: 'directory', mode: 0o755 }],
        [{ name: 'p/q/r/root', type: 'symlink', linkname: '../../..' }],
        [{ name: 'p/q/r/x', type: 'symlink', linkname: 'root/../../secret' }],
        [{ name: 'p/q/r/fine', type: 'symlink', linkname: 'root/p/q' }],
      ]),
      join(work, 'tree'),
      join(work, 'chained'),
      {},
    );
    expect(report.skipped.map(({ name }) => name)).toEqual(['p/q/r/x']);
    expect(realpathSync(join(work, 'chained/p/q/r/fine'))).toBe(realpathSync(join(work, 'chained/p/q')));
  });

  it('refuses a link or a folder when a file was requested', async () => {
    for (const header of [
      { name: 'file', type: 'symlink', linkname: 'other' },
      { name: 'file', type: 'directory' },
    ] as const) {
      const copying = copyOut(
        await hostile([[header], [{ name: 'other' }, 'x']]),
        join(work, 'tree/big'),
        join(work, 'linked'),
        {},
      );
      await expect(copying).rejects.toMatchObject({ code: 'COPY_FAILED' });
    }
    expect(lstatSync(join(work, 'linked'), { throwIfNoEntry: false })).toBeUndefined();
  });

  it('drops write permission for others and set-user-ID bits, and copies a folder without permissions completely', async () => {
    const entries = [
      [{ name: 'open', type: 'directory', mode: 0o2777 }],
      [{ name: 'open/set', mode: 0o6777 }, 'x'],
      [{ name: 'shut/below', type: 'directory', mode: 0o500 }],
      [{ name: 'shut', type: 'directory', mode: 0o400 }],
      [{ name: '.', type: 'directory', mode: 0o555 }],
    ] as const;
    await copyOut(await hostile(entries), join(work, 'tree'), join(work, 'modes'), {});
    const modes = ['open', 'open/set', 'shut', 'shut/below', '.'].map(
      (name) => statSync(join(work, 'modes', name)).mode & 0o7777,
    );
    expect(modes).toEqual([0o755, 0o755, 0o400, 0o500, 0o555]);
  });

  it('refuses more than maxBytes, and a header that announces a name of 8 GiB', async () => {
    await expect(copyOut(shell, join(work, 'tree'), join(work, 'much'), { maxBytes: 1_000_000 })).rejects.toMatchObject(
      { code: 'OUTPUT_LIMIT' },
    );
    // A header that announces a long name of 8 GiB, and its sum.
    const block = Buffer.alloc(512);
    block.write('././@LongLink', 0);
    block.write('77777777777\0', 124);
    block.write('L', 156);
    block.write('ustar  ', 257);
    block.write('        ', 148);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    writeFileSync(join(work, 'long-name'), block);
    const before = process.memoryUsage().rss;
    await expect(
      copyOut(
        sending(`cat ${join(work, 'long-name')}; head -c 300000000 /dev/zero | tr '\\0' n`),
        join(work, 'tree'),
        join(work, 'long'),
        {},
      ),
    ).rejects.toMatchObject({
      code: 'COPY_FAILED',
      message: expect.stringContaining('bytes of archive without a file or its content'),
    });
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(100);
  });

  it('fails when the guest sends something that is not an archive', async () => {
    await expect(
      copyOut(sending('head -c 5000 /dev/urandom'), join(work, 'tree'), join(work, 'noise'), {}),
    ).rejects.toMatchObject({ code: 'COPY_FAILED' });
  });
});

import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  existsSync,
  readlinkSync,
  realpathSync,
  lstatSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPty, type Pty } from '@qmpilot/core/testing';
import fc from 'fast-check';
import tar from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Channel } from '../../../../packages/core/src/console/channel.js';
import { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';
import { copyIn } from '../../../../packages/core/src/vm/copy/copy-in.js';
import { copyOut } from '../../../../packages/core/src/vm/copy/copy-out.js';

// The guest is a bash on this host: what it sends is what counts.
let pty: Pty;
let shell: ConsoleShell;
const work = mkdtempSync(join(tmpdir(), 'copy-test-'));
beforeAll(async () => {
  pty = openPty('bash --norc');
  const channel = new Channel('hvc0');
  channel.attach(pty.stream);
  shell = new ConsoleShell(channel);
  await shell.ready({ timeout: '10s' });
  mkdirSync(join(work, 'tree/sub dir'), { recursive: true });
  writeFileSync(join(work, "tree/sub dir/it's"), 'content\n', { mode: 0o640 });
  writeFileSync(join(work, 'tree/empty'), '');
  writeFileSync(
    join(work, 'tree/big'),
    Buffer.from(Array.from({ length: 9_000_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255)),
    { mode: 0o755 },
  );
  symlinkSync('sub dir', join(work, 'tree/link'));
  utimesSync(join(work, 'tree/big'), 1_000_000_000, 1_000_000_000);
});
afterAll(() => {
  pty.close();
  rmSync(work, { recursive: true });
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
      code: 'COPY_FAILED',
      message: expect.stringContaining('not found in the guest'),
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

  it.each<[string, tar.Headers & { readonly pax?: Readonly<Record<string, string>> }]>([
    ['a name that climbs', { name: 'a/../../evil' }],
    ['an absolute name', { name: '/tmp/evil-from-a-guest' }],
    ['a name twice', { name: 'good' }],
    ['a file in place of a folder', { name: 'good/below' }],
    ['a link in place of a file', { name: 'good', type: 'symlink', linkname: 'x' }],
    ['a name with a NUL', { name: 'a', pax: { path: 'a\0b' } }],
    ['a name that no file can have', { name: 'a', pax: { path: 'n'.repeat(300) } }],
    ['a link to a name that none can have', { name: 'a', type: 'symlink', linkname: 'n'.repeat(5000) }],
  ])('take nothing from a guest that sends %s', async (_what, header) => {
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

  it('end at an invalid entry, though the guest sends nothing more and does not end', async () => {
    const copying = copyOut(
      await hostile([[{ name: '../evil' }, 'x']], 'sleep 1000'),
      join(work, 'tree'),
      join(work, 'silent'),
      {},
    );
    await expect(copying).rejects.toMatchObject({ code: 'COPY_FAILED', message: expect.stringContaining('"../evil"') });
    expect((await shell.exec('echo on')).stdout).toBe('on\n');
  });

  it('say which call cannot read or find what, and why', async () => {
    await expect(copyIn(shell, '/nope', join(work, 'never'), {})).rejects.toMatchObject({
      code: 'USAGE',
      message: 'copyIn: cannot read /nope: ENOENT',
    });
  });

  it('write nothing through a link, make none that leads out, and no device', async () => {
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

  it('write nothing through a link that stays inside either', async () => {
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

  it('make no link that leads out by way of another one', async () => {
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

  it('make a file of a file only, though the guest sends a link or a folder of that name', async () => {
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

  it('give nobody else the right to write, nor anybody another’s rights, and bring a folder that is closed over whole', async () => {
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

  it('take no more than maxBytes, and no archive that says much and brings nothing', async () => {
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

  it('say that it is no archive when the guest sends something else', async () => {
    await expect(
      copyOut(sending('head -c 5000 /dev/urandom'), join(work, 'tree'), join(work, 'noise'), {}),
    ).rejects.toMatchObject({ code: 'COPY_FAILED' });
  });
});

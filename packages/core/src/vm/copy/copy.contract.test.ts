import { createWriteStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync, existsSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { OutOfBandShell } from '../../shell/out-of-band-shell.js';
import { openPty, type Pty } from '../../shell/pty.fixture.js';
import { copyIn } from './copy-in.js';
import { copyOut } from './copy-out.js';

// The guest is a bash on this host: what it sends is what counts.
let pty: Pty;
let shell: OutOfBandShell;
const work = mkdtempSync(join(tmpdir(), 'copy-test-'));
beforeAll(async () => {
  pty = openPty('bash --norc');
  const channel = new Channel('hvc0');
  channel.attach(pty.stream);
  shell = new OutOfBandShell(channel);
  await shell.ready({ timeout: '10s' });
  mkdirSync(join(work, 'tree/sub dir'), { recursive: true });
  writeFileSync(join(work, "tree/sub dir/it's"), 'content\n', { mode: 0o640 });
  writeFileSync(join(work, 'tree/empty'), '');
  writeFileSync(join(work, 'tree/big'), Buffer.from(Array.from({ length: 9_000_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255)), { mode: 0o755 });
  symlinkSync('sub dir', join(work, 'tree/link'));
  utimesSync(join(work, 'tree/big'), 1_000_000_000, 1_000_000_000);
});
afterAll(() => {
  pty.close();
  rmSync(work, { recursive: true });
});

function checkTree(folder: string): void {
  expect(readdirSync(folder).toSorted()).toEqual(['big', 'empty', 'link', 'sub dir']);
  expect(readFileSync(join(folder, 'big')).equals(readFileSync(join(work, 'tree/big')))).toBe(true);
  expect(readFileSync(join(folder, "link/it's"), 'utf8')).toBe('content\n');
  expect(statSync(join(folder, 'big'))).toMatchObject({ mode: 0o100755, mtimeMs: 1_000_000_000_000 });
  expect(statSync(join(folder, "sub dir/it's")).mode).toBe(0o100640);
}

/** A guest whose `tar` gives these entries; every other command goes to the real one. */
async function hostile(entries: readonly (readonly [tar.Headers, string?])[]): Promise<OutOfBandShell> {
  const pack = tar.pack();
  for (const [header, content] of entries) pack.entry(header, content ?? '');
  pack.finalize();
  const file = join(work, 'hostile.tar');
  await pipeline(pack, createWriteStream(file));
  return sending(`cat ${file}`);
}

/** The shell of a guest that sends what `command` prints, whatever it is asked for. */
function sending(command: string): OutOfBandShell {
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
    const report = await copyIn(shell, join(work, 'tree'), join(work, 'in/made'), { onProgress: ({ bytes }) => progress.push(bytes) });
    expect(report).toEqual({ files: 3, bytes: 9_000_008, skipped: [] });
    expect(progress.length).toBeGreaterThan(1);
    checkTree(join(work, 'in/made'));
    expect(await copyOut(shell, join(work, 'in/made'), join(work, 'out/made'), {})).toEqual({ files: 3, bytes: 9_000_008, skipped: [] });
    checkTree(join(work, 'out/made'));
    expect([readdirSync(join(work, 'in')), readdirSync(join(work, 'out'))]).toEqual([['made'], ['made']]);
  });

  it('copy one file, over another, and no tree over anything', async () => {
    await copyIn(shell, join(work, 'tree/empty'), join(work, 'one'), {});
    await copyIn(shell, join(work, "tree/sub dir/it's"), join(work, 'one'), {});
    expect(readFileSync(join(work, 'one'), 'utf8')).toBe('content\n');
    await copyOut(shell, join(work, 'one'), join(work, 'two'), {});
    expect(readFileSync(join(work, 'two'), 'utf8')).toBe('content\n');
    await expect(copyIn(shell, join(work, 'tree'), join(work, 'one'), {})).rejects.toMatchObject({ code: 'USAGE' });
    await expect(copyOut(shell, join(work, 'tree'), join(work, 'two'), {})).rejects.toMatchObject({ code: 'USAGE' });
    await expect(copyOut(shell, join(work, 'none'), join(work, 'three'), {})).rejects.toMatchObject({ code: 'COPY_FAILED', message: expect.stringContaining('is not there') });
  });

  it('leave nothing behind when they are cancelled', async () => {
    for (const copy of [copyIn, copyOut]) {
      const abort = new AbortController();
      const going = copy(shell, join(work, 'tree'), join(work, 'half/made'), { signal: abort.signal, onProgress: () => abort.abort() });
      await expect(going).rejects.toMatchObject({ code: 'ABORTED' });
      expect(readdirSync(join(work, 'half'))).toEqual([]);
    }
    expect((await shell.exec('echo on')).stdout).toBe('on\n');
  });

  it.each<[string, tar.Headers]>([
    ['a name that climbs', { name: 'a/../../evil' }],
    ['an absolute name', { name: '/tmp/evil-from-a-guest' }],
  ])('take nothing from a guest that sends %s', async (_what, header) => {
    const copying = copyOut(await hostile([[{ name: 'good' }, 'x'], [header, 'x']]), join(work, 'tree'), join(work, 'trap'), {});
    await expect(copying).rejects.toMatchObject({ code: 'COPY_FAILED' });
    expect([existsSync(join(work, 'trap')), existsSync(join(work, 'evil')), existsSync('/tmp/evil-from-a-guest')]).toEqual([false, false, false]);
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

  it('say that it is no archive when the guest sends something else', async () => {
    await expect(copyOut(sending('head -c 5000 /dev/urandom'), join(work, 'tree'), join(work, 'noise'), {})).rejects.toMatchObject({ code: 'COPY_FAILED' });
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { retry } from '../async/retry.js';
import { replaceFile } from './atomic-write.js';
import { lockFile } from './file-lock.js';
import { hostError } from './host-error.js';
import { removeDirectory } from './remove-directory.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-files-'));
});
afterEach(() => removeDirectory(dir));

describe('replaceFile', () => {
  it('replaces the file, readable by its owner only, and leaves nothing beside it', async () => {
    const path = join(dir, 'a.json');
    await replaceFile(path, 'old');
    await replaceFile(path, 'new');
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(dir)).toEqual(['a.json']);
  });

  it('says IO when the folder does not exist', async () => {
    await expect(replaceFile(join(dir, 'none', 'a'), 'x')).rejects.toMatchObject({
      code: 'IO',
      message: expect.stringContaining(`cannot write ${join(dir, 'none', 'a')}: ENOENT`),
    });
  });
});

it.each([
  ['ENOSPC', 'NO_SPACE'],
  ['EDQUOT', 'NO_SPACE'],
  ['EMFILE', 'NO_SPACE'],
  ['ENOMEM', 'NO_SPACE'],
  ['EACCES', 'IO'],
  ['ENOENT', 'IO'],
])('a system call error %s becomes %s', (code, expected) => {
  const cause = Object.assign(new Error(`${code}: said`), { code });
  expect(hostError('cannot write', cause)).toMatchObject({
    code: expected,
    message: `cannot write: ${code}: said`,
    cause,
  });
});

describe('lockFile', () => {
  it('takes a lock that is free, waits for one that is held, and gives up', async () => {
    const path = join(dir, 'lock');
    await using mine = await open(path, 'a');
    expect(await lockFile(mine.fd, path)).toBe(true);
    await using other = await open(path, 'a');
    expect(await lockFile(other.fd, path)).toBe(false);
    expect(await lockFile(other.fd, path, { patience: 50 })).toBe(false);
    await expect(
      lockFile(other.fd, path, { patience: Infinity, signal: AbortSignal.timeout(50) }),
    ).rejects.toMatchObject({ code: 'ABORTED' });
    const waiting = lockFile(other.fd, path, { patience: Infinity });
    await mine.close();
    expect(await waiting).toBe(true);
  });

  it('gets the lock of a process that was killed', async () => {
    const path = join(dir, 'lock');
    await using mine = await open(path, 'a');
    const holder = spawn('flock', ['-x', path, 'sh', '-c', 'echo locked; exec sleep 1000'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    await once(holder.stdout, 'data');
    const waiting = lockFile(mine.fd, path, { patience: Infinity });
    process.kill(-(holder.pid ?? 0), 'SIGKILL');
    expect(await waiting).toBe(true);
  });
});

describe('retry', () => {
  const failing = (times: number, message = 'no') => {
    let tries = 0;
    return async () => {
      tries += 1;
      if (tries <= times) throw new Error(`${message} ${tries}`);
      return tries;
    };
  };

  it('gives the first success, or the last error', async () => {
    expect(await retry(failing(2), { retries: 2, delay: 1 })).toBe(3);
    await expect(retry(failing(3), { retries: 2, delay: 1 })).rejects.toThrow('no 3');
  });

  it('does not retry other errors, and ends with its signal', async () => {
    await expect(retry(failing(1), { retries: 5, delay: 1, when: () => false })).rejects.toThrow('no 1');
    const signal = AbortSignal.timeout(20);
    await expect(retry(failing(Infinity), { retries: Infinity, delay: 5, signal })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});

import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensurePrivateDirectory, isTrusted } from './private-directory.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-private-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A folder that is not ours: root gives one away, others have one of root's. */
function somebodyElses(): string {
  if (process.getuid?.() !== 0) return '/usr';
  mkdirSync(join(dir, 'other'));
  chownSync(join(dir, 'other'), 65_534, 65_534);
  return join(dir, 'other');
}

describe('a private folder', () => {
  it('is made for this user alone, and closed to others where it was open', async () => {
    const path = join(dir, 'a', 'b');
    await ensurePrivateDirectory(path);
    expect([statSync(path), statSync(join(dir, 'a'))].map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o700]);
    chmodSync(path, 0o777);
    await ensurePrivateDirectory(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('is refused when someone else owns it', async () => {
    await expect(ensurePrivateDirectory(somebodyElses())).rejects.toMatchObject({
      code: 'IO',
      message: expect.stringContaining('not a folder of this user'),
    });
  });

  it('is refused when it is a link, even to a folder of this user', async () => {
    mkdirSync(join(dir, 'real'), { mode: 0o755 });
    symlinkSync('real', join(dir, 'link'));
    await expect(ensurePrivateDirectory(join(dir, 'link'))).rejects.toMatchObject({ code: 'IO' });
    expect(statSync(join(dir, 'real')).mode & 0o777).toBe(0o755);
  });

  it.runIf(process.getuid?.() === 0)('is not trusted when someone else owns it', async () => {
    expect(await isTrusted(somebodyElses())).toBe(false);
  });

  it('is not trusted when others may write to it', async () => {
    expect(await isTrusted(dir)).toBe(true);
    chmodSync(dir, 0o720);
    expect(await isTrusted(dir)).toBe(false);
  });
});

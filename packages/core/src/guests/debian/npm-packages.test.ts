import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { programFolder } from '../build/fake-program.fixture.js';
import { fetchPackages, lockedPackages } from './npm-packages.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'qmpilot-npm-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true, force: true });
});

const sha512 = (text: string) => `sha512-${createHash('sha512').update(text).digest('base64')}`;
const PACKS =
  'while [ $# -gt 0 ]; do case $1 in --pack-destination) cd "$2"; shift;; esac; shift; done; printf one > one-1.0.0.tgz';

async function withNpm(script: string): Promise<void> {
  vi.stubEnv('PATH', await programFolder(directory, { npm: script }, ['sh', 'sleep']));
}

describe('lockedPackages', () => {
  it('gives each package once, scoped and nested ones too, and not the project itself', async () => {
    const lockfile = join(directory, 'package-lock.json');
    const packages = {
      '': { name: 'project', version: '1.0.0' },
      'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
      'node_modules/@s/b': { version: '2.0.0', integrity: 'sha512-b' },
      'node_modules/@s/b/node_modules/a': { version: '3.0.0', integrity: 'sha512-c' },
      'node_modules/d/node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    };
    await writeFile(lockfile, JSON.stringify({ packages }));
    expect((await lockedPackages(lockfile)).map(({ spec }) => spec)).toEqual(['a@1.0.0', '@s/b@2.0.0', 'a@3.0.0']);
  });
});

describe('fetchPackages', () => {
  it('finds what npm packed by its digest, whatever the file is called', async () => {
    await withNpm(PACKS);
    const [packed] = await fetchPackages(
      [{ spec: 'one@1.0.0', integrity: sha512('one') }],
      join(directory, 'out'),
      undefined,
    );
    expect(packed).toMatchObject({ spec: 'one@1.0.0', file: join(directory, 'out', 'one-1.0.0.tgz') });
    expect(packed?.bytes.toString()).toBe('one');
  });

  it('refuses a package whose hash differs from the lockfile', async () => {
    await withNpm(PACKS);
    const fetching = fetchPackages(
      [{ spec: 'one@1.0.0', integrity: sha512('other') }],
      join(directory, 'out'),
      undefined,
    );
    await expect(fetching).rejects.toMatchObject({
      code: 'GUEST_BUILD',
      message: expect.stringContaining('one@1.0.0'),
    });
  });

  it('says why npm itself cannot reach its registry, after a few seconds', { timeout: 60_000 }, async () => {
    vi.stubEnv('npm_config_registry', 'http://127.0.0.1:1/');
    vi.stubEnv('npm_config_cache', join(directory, 'cache'));
    const packages = [{ spec: 'bytes@3.1.2', integrity: sha512('') }];
    await expect(fetchPackages(packages, join(directory, 'out'), undefined)).rejects.toMatchObject({
      code: 'GUEST_BUILD',
      message: expect.stringMatching(/ECONNREFUSED|127\.0\.0\.1:1/),
    });
  });

  it("gives npm's last words when it fails", async () => {
    await withNpm('echo "npm error network down" >&2; exit 1');
    await expect(fetchPackages([], join(directory, 'out'), undefined)).rejects.toMatchObject({
      code: 'GUEST_BUILD',
      message: expect.stringContaining('npm error network down'),
      evidence: { stderr: ['npm error network down'] },
    });
  });

  it('tries again when the registry did not answer', async () => {
    const tried = join(directory, 'tried');
    await withNpm(`[ -e ${tried} ] || { : > ${tried}; echo 'npm error code ECONNRESET' >&2; exit 1; }; ${PACKS}`);
    const wanted = { spec: 'one@1.0.0', integrity: sha512('one') };
    await expect(fetchPackages([wanted], join(directory, 'out'), undefined)).resolves.toMatchObject([wanted]);
  });

  it('says NO_SPACE when npm found no room', async () => {
    await withNpm('echo "npm error code ENOSPC" >&2; exit 1');
    await expect(fetchPackages([], join(directory, 'out'), undefined)).rejects.toMatchObject({ code: 'NO_SPACE' });
  });

  it('says TOOL_MISSING without npm', async () => {
    vi.stubEnv('PATH', directory);
    await expect(fetchPackages([], join(directory, 'out'), undefined)).rejects.toMatchObject({ code: 'TOOL_MISSING' });
  });

  it('says ABORTED, not that the build failed, when the signal fires', async () => {
    await withNpm('exec sleep 300');
    await expect(fetchPackages([], join(directory, 'out'), AbortSignal.timeout(50))).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });
});

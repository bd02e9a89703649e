import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { nixBuild } from './nix-build.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-nix-build-test-'));
  vi.stubEnv('PATH', `${dir}:/usr/bin:/bin`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

/** A program named `nix`, of these lines. */
const nix = (...lines: readonly string[]) =>
  writeFile(join(dir, 'nix'), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
const isThere = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

it.each([
  [
    'lets nix remove its temporary files',
    ["trap 'echo removed > done; exit 1' TERM", 'echo $$ >&2', 'while :; do sleep 0.05; done'],
  ],
  ['kills a nix that ignores SIGTERM', ["trap '' TERM", 'echo $$ >&2', 'exec sleep 1000']],
])('an interrupted build %s, and leaves nothing running', async (what, lines) => {
  await nix(`cd ${dir}`, ...lines);
  const over = new AbortController();
  let pid = 0;
  const building = nixBuild(
    { flake: '.', attribute: 'vm' },
    {
      signal: over.signal,
      onProgress: (line) => {
        pid = Number(line.replace('nix: ', ''));
        over.abort();
      },
    },
  );
  await expect(building).rejects.toMatchObject({ code: 'ABORTED' });
  expect(pid).toBeGreaterThan(0);
  expect(isThere(pid)).toBe(false);
  if (what.startsWith('lets')) expect(await readFile(join(dir, 'done'), 'utf8')).toBe('removed\n');
});

it('a nix that cannot be run is an error', async () => {
  await writeFile(join(dir, 'nix'), '#!/nowhere/sh\n', { mode: 0o755 });
  await expect(nixBuild({ flake: '.', attribute: 'vm' }, {})).rejects.toMatchObject({
    code: 'GUEST_BUILD',
    message: expect.stringMatching(/nix could not be run: .*ENOENT/),
  });
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debian, defineScenario } from '@qmpilot/core';
import { bisect, type BisectRepositoryOptions } from '@qmpilot/core/bisect';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GitRepository } from '../../support/git-repository.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';

let dir: string;
let repository: GitRepository;
let culprit: string;
let before: string[];
const program = (fails: boolean, version: number) =>
  `#!/bin/sh\n# ${version}\n${fails ? '[ $(($1 % 4)) -ne 0 ]' : 'true'}\n`;
beforeAll(() => {
  before = leftovers();
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-bisect-install-'));
  repository = new GitRepository(join(dir, 'repo'));
  for (let version = 0; version <= 6; version += 1) {
    const commit = repository.commit(`version ${version}`, { program: program(version >= 3, version) });
    if (version === 3) culprit = commit;
  }
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const options = (): BisectRepositoryOptions => ({
  repo: repository.path,
  good: 'main~6',
  bad: 'main',
  build: 'cp program "$QMPILOT_OUT"',
  install: 'install -m 755 "$QMPILOT_OUT/program" /usr/local/bin/program',
  scenario: () =>
    defineScenario({
      name: 'installed',
      guest: debian({ defect: 'io-uring-unlocked-flush' }),
      boot: { cache: true },
      async prepare(vm) {
        await vm.expectOk('test -x /usr/local/bin/program');
      },
      async attempt(vm, { seed, fail }) {
        const { exitCode } = await vm.exec(`program ${seed}`);
        if (exitCode !== 0) fail('the program failed');
      },
    }),
});

it('installs each build in the guest before it is prepared, and records the command', async () => {
  const at = join(dir, 'found');
  const result = await bisect({ ...options(), dir: at, maxBuilds: 4 });
  expect(result.signature).toBe('the program failed');
  expect(result.ends.good.failures).toBe(0);
  expect(result.ends.bad.failures).toBeGreaterThan(0);
  // Each commit ran the program of its own build.
  const shows = repository.git('rev-list', `${culprit}~1..main`).split('\n');
  for (const { commit, failures } of result.counts) if (failures > 0) expect(shows, commit).toContain(commit);
  expect(readFileSync(join(at, 'report.html'), 'utf8')).toContain('Installation command');
  await expect(bisect({ ...options(), install: 'true', resume: at })).rejects.toThrow(
    /cannot resume .*: the installation command is another one/,
  );
  await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
});

it('fails with what the command printed when it cannot install the build of an end', async () => {
  const failed = bisect({ ...options(), install: 'echo "no space for it" >&2; exit 3', dir: join(dir, 'failed') });
  await expect(failed).rejects.toThrow(
    expect.objectContaining({ code: 'COMMAND_FAILED', message: expect.stringContaining('no space for it') }),
  );
});

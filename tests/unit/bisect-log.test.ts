import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readGitBisectLog, renderGitBisectLog } from '../../packages/core/src/bisect/git/git-log.js';
import { openRange } from '../../packages/core/src/bisect/git/range.js';
import type { BisectResult } from '../../packages/core/src/bisect/result.js';
import { GitRepository } from '../support/git-repository.js';

let dir: string;
let repository: GitRepository;
let commits: string[];
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-bisect-log-'));
  repository = new GitRepository(join(dir, 'repo'));
  commits = Array.from({ length: 9 }, (_, version) =>
    repository.commit(`version ${version}`, { version: `${version}` }),
  );
  repository.git('tag', 'v0', at(0));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const at = (version: number) => commits[version] ?? '';

it('takes the marks of a session of git bisect, and narrows the range down', async () => {
  repository.git('bisect', 'start', 'HEAD', 'v0');
  repository.git('bisect', 'good', at(2));
  repository.git('bisect', 'skip', at(5));
  repository.git('bisect', 'bad', at(7));
  const file = join(dir, 'log');
  writeFileSync(file, repository.git('bisect', 'log'));
  const marks = await readGitBisectLog(file);
  expect(marks).toEqual({ bad: at(7), good: [at(0), at(2)], skip: [at(5)] });
  repository.git('bisect', 'reset');

  const range = await openRange({
    ...{ repo: repository.path, good: at(2), alsoGood: [at(0)], bad: at(7), skip: marks.skip },
  });
  expect(new Set(range.commits.map(({ id }) => id))).toEqual(new Set(commits.slice(3, 8)));
  expect(range.skip).toEqual([at(5)]);
});

it('leaves out the commits of another good revision', async () => {
  const { commits: left } = await openRange({
    ...{ repo: repository.path, good: at(0), alsoGood: [at(6)], bad: 'main' },
  });
  expect(left.map(({ id }) => id)).toEqual([at(8), at(7)]);
  const contradiction = openRange({ repo: repository.path, good: at(0), alsoGood: [at(8)], bad: at(7) });
  await expect(contradiction).rejects.toThrow(/is marked as good, and contains/);
});

it('writes a log from which git bisect replay names the confirmed commit', async () => {
  const range = await openRange({ repo: repository.path, good: at(0), bad: 'main' });
  const result = {
    ...{ state: 'confirmed', reason: 'fresh attempts confirm the answer' },
    confirmation: [
      { commit: at(4), failures: 3, attempts: 4 },
      { commit: at(3), failures: 0, attempts: 8 },
    ],
    skipped: [{ commit: at(6), reason: 'it does not build' }],
  } as unknown as BisectResult;
  const file = join(dir, 'written');
  writeFileSync(file, renderGitBisectLog(result, range));
  expect(await readGitBisectLog(file)).toEqual({ bad: at(4), good: [at(0), at(3)], skip: [at(6)] });
  expect(repository.git('bisect', 'replay', file)).toContain(`${at(4)} is the first bad commit`);
  repository.git('bisect', 'reset');

  const undecided = renderGitBisectLog({ ...result, state: 'undecided' }, range);
  expect(undecided).toContain(`git bisect bad ${at(8)}\ngit bisect good ${at(0)}\ngit bisect skip ${at(6)}`);
  expect(renderGitBisectLog({ ...result, state: 'indistinct' }, range)).not.toMatch(/bisect (good|bad)/);
});

it.each(['git bisect run make', 'git bisect start --term-new=slow', 'rm -rf /'])(
  'refuses the line %j',
  async (line) => {
    const file = join(dir, 'refused');
    writeFileSync(file, `# a comment\n${line}\n`);
    await expect(readGitBisectLog(file)).rejects.toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: expect.stringMatching(/refused:2 is not a line of git bisect log/),
      }),
    );
  },
);

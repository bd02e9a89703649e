import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bisect, type BisectEvent } from '@qmpilot/core/bisect';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Builds } from '../../packages/core/src/bisect/builds/builds.js';
import { CommitBuilds } from '../../packages/core/src/bisect/builds/commit-builds.js';
import { openRange } from '../../packages/core/src/bisect/git/range.js';
import { tryRevert } from '../../packages/core/src/bisect/revert.js';
import { GitRepository } from '../support/git-repository.js';

let dir: string;
let repository: GitRepository;
let first: string;
let second: string;
let aside: string;
let merge: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-range-'));
  repository = new GitRepository(join(dir, 'repo'));
  first = repository.commit('first', { program: '1', README: '1' });
  second = repository.commit('second', { program: '2' });
  repository.git('checkout', '--quiet', '-b', 'aside', first);
  aside = repository.commit('aside', { README: '2' });
  repository.git('checkout', '--quiet', 'main');
  repository.git('merge', '--quiet', '--no-ff', '--message', 'merge', 'aside');
  merge = repository.git('rev-parse', 'HEAD');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const range = (good: string, bad: string, paths: readonly string[] = []) =>
  openRange({ repo: repository.path, good, bad, paths });

it('reads the commits between the ends with all their parents', async () => {
  const { commits, bad } = await range(first, 'main');
  expect(bad).toBe(merge);
  expect(new Map(commits.map(({ id, parents }) => [id, parents]))).toEqual(
    new Map([
      [merge, [second, aside]],
      [second, [first]],
      [aside, [first]],
    ]),
  );
});

it('takes a tag, and the text of a commit, as revision', async () => {
  repository.git('tag', '--annotate', '--message', 'release', 'v1', first);
  expect((await range('v1', 'main')).good).toBe(first);
  expect((await range(':/^first', 'main')).good).toBe(first);
});

it('leaves out commits that change none of the paths, and builds the last one that does', async () => {
  const { commits, bad } = await range(first, 'main', ['program']);
  expect(commits.map(({ id }) => id)).toEqual([second]);
  expect(bad).toBe(second);
});

it.each([
  ['swapped ends', () => range('main', first), /good and bad are swapped: \w+ is an ancestor of main/],
  ['ends on two branches', () => range(aside, second), /is not an ancestor/],
  ['equal ends', () => range('main', merge), /good and bad are the same commit/],
  ['a revision that does not exist', () => range('nowhere', 'main'), /revision "nowhere" not found/],
  ['paths that no commit changes', () => range(first, 'main', ['other']), /no commit of \w+\.\.main changes other/],
  [
    'a repository without commits',
    () => openRange({ repo: new GitRepository(join(dir, 'empty')).path, good: 'main', bad: 'HEAD' }),
    /revision "main" not found in .*empty/,
  ],
  [
    'a directory that is no repository',
    () => openRange({ repo: '/', good: 'a', bad: 'b' }),
    /\/ is not a git repository/,
  ],
])('refuses %s', async (_, open, message) => {
  await expect(open()).rejects.toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
  );
});

it.each([
  ['build', { build: ' ' }],
  ['install', { install: '' }],
])('refuses an empty command as %s', async (name, command) => {
  const options = { repo: repository.path, good: first, bad: 'main', build: 'true', scenario, ...command };
  await expect(bisect(options)).rejects.toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(`${name}.*expected a command`) }),
  );
});

const scenario = () => {
  throw new Error('no attempt is made');
};

it('refuses a build command that does not exist, keeps the changes of the worktree, and removes its own', async () => {
  writeFileSync(join(repository.path, 'program'), 'changed');
  const events: string[] = [];
  const bisection = bisect({
    ...{ repo: repository.path, good: first, bad: 'main', build: 'no-such-build --all', scenario },
    dir: join(dir, 'no-build'),
    onEvent: (event) => void (event.type === 'progress' && events.push(event.message)),
  });
  await expect(bisection).rejects.toThrow(
    expect.objectContaining({
      code: 'USAGE',
      message: expect.stringMatching(/cannot run the build command: .*not found/),
    }),
  );
  expect(events[0]).toMatch(/^uncommitted changes in .*repo are in no build$/);
  expect(repository.git('status', '--porcelain')).toBe('M program');
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);
  repository.git('checkout', '--quiet', 'program');
});

it.each([
  ['fails', 'exit 3', 'GUEST_BUILD', /cannot build the end \w{12}: its build ended with exit status 3/],
  ['leaves nothing', 'true', 'USAGE', /left nothing in \$QMPILOT_OUT/],
])('refuses an end whose build %s', async (name, build, code, message) => {
  await expect(
    bisect({ repo: repository.path, good: first, bad: 'main', build, scenario, dir: join(dir, name) }),
  ).rejects.toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);
});

it('ends the processes of a build when it is interrupted, and resumes', async () => {
  const controller = new AbortController();
  const options = {
    ...{ repo: repository.path, good: first, bad: 'main', scenario },
    build: 'echo building; if [ -e ../go ]; then cp program "$QMPILOT_OUT"; else sleep 600 & wait; fi',
  };
  const at = join(dir, 'interrupted');
  const interrupted = bisect({
    ...options,
    dir: at,
    signal: controller.signal,
    onEvent: (event) => void (event.type === 'build-output' && controller.abort(new Error('enough'))),
  });
  await expect(interrupted).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }));
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);

  writeFileSync(join(at, 'go'), '');
  await expect(bisect({ ...options, build: 'make', resume: at })).rejects.toThrow(
    /cannot resume .*: the build command is another one/,
  );
  await expect(bisect({ ...options, resume: at })).rejects.toThrow('no attempt is made');
});

it('builds the bad end with a commit reverted, or says that it does not revert cleanly', async () => {
  const { repository: opened } = await range(first, 'main');
  const at = join(dir, 'reverted');
  mkdirSync(join(at, 'builds'), { recursive: true });
  const command = 'cat program README > "$QMPILOT_OUT/both"';
  const builds = new CommitBuilds({ repository: opened, dir: at, command, signal: undefined, tell: () => {} });
  const read = (name: string) => readFileSync(join(builds.directory(name), 'both'), 'utf8');
  try {
    expect(await builds.buildReverted(merge, second, 'without second')).toMatchObject({ commit: 'without second' });
    expect(read('without second')).toBe('12');
    expect(await builds.buildReverted(merge, first, 'without first')).toMatchObject({
      reason: 'it does not revert cleanly',
    });
    // Nothing of a revert is left for the next build.
    await builds.build(merge, { isEnd: false, signal: undefined });
    expect(read(merge)).toBe('22');
  } finally {
    await builds.close();
  }
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);
});

it.each([
  [{ rate: 0 }, /rate/],
  [{ background: 1 }, /background/],
  [{ certainty: 1 }, /certainty/],
  [{ rate: 0.1, background: 0.2 }, /the rate 0.1 is not above the background 0.2/],
])('refuses %j', async (given, message) => {
  const options = { ...{ repo: repository.path, good: first, bad: 'main', build: 'make', scenario }, ...given };
  await expect(bisect(options)).rejects.toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
  );
});

it('keeps the known rates when it is resumed, and refuses others', async () => {
  const at = join(dir, 'rates');
  const options = { repo: repository.path, good: first, bad: 'main', build: 'cp program "$QMPILOT_OUT"', scenario };
  const known = { rate: 0.2, background: 0 };
  await expect(bisect({ ...options, ...known, dir: at })).rejects.toThrow('no attempt is made');
  await expect(bisect({ ...options, ...known, rate: 0.3, resume: at })).rejects.toThrow(/the rate is another one/);
  await expect(bisect({ ...options, certainty: 0.9, resume: at })).rejects.toThrow(/the certainty is another one/);
  await expect(bisect({ ...options, resume: at })).rejects.toThrow('no attempt is made');
  expect(JSON.parse(readFileSync(join(at, 'bisection.json'), 'utf8'))).toMatchObject(known);
});

it('tries no revert when the answer is several commits, or a merge', async () => {
  const opened = await range(first, 'main');
  const tries = {} as never;
  const several = [second, aside].map((commit) => ({ commit }));
  expect(await tryRevert(tries, opened, several)).toEqual({ reason: 'the answer is several commits' });
  expect(await tryRevert(tries, opened, [{ commit: merge }])).toEqual({ reason: 'the culprit is a merge' });
});

it('ends a build ahead together with the bisection, and leaves no worktree', async () => {
  const { repository: opened } = await range(first, 'main');
  const at = join(dir, 'ahead');
  mkdirSync(join(at, 'builds'), { recursive: true });
  const command = 'if [ $QMPILOT_COMMIT = $SLOW ]; then echo begun; sleep 600 & wait; fi; nice > "$QMPILOT_OUT/nice"';
  let isBegun = false;
  const tell = (event: BisectEvent) => void (event.type === 'build-output' && (isBegun = true));
  const parts = { signal: undefined, tell };
  const slow = `SLOW=${second}; ${command}`;
  const builds = new Builds(new CommitBuilds({ repository: opened, dir: at, command: slow, ...parts }), parts);
  builds.ahead([second]);
  await expect.poll(() => isBegun).toBe(true);
  // What is asked for goes first, and not with a low priority.
  expect(await builds.build(merge, { isEnd: true })).toMatchObject({ commit: merge, id: expect.any(String) });
  expect(readFileSync(join(builds.directory(merge), 'nice'), 'utf8').trim()).not.toBe('19');
  expect(existsSync(builds.directory(second))).toBe(false);
  builds.ahead([first]);
  const ahead = await builds.build(first, { isEnd: false });
  expect(ahead.aheadMs).toBeLessThanOrEqual(ahead.ms);
  expect(readFileSync(join(builds.directory(first), 'nice'), 'utf8').trim()).toBe('19');
  builds.ahead([second]);
  await builds.close();
  expect(new Set(readdirSync(join(at, 'builds')))).toEqual(new Set([first, merge]));
  expect(repository.git('worktree', 'list').split('\n')).toHaveLength(1);
  expect(repository.git('status', '--porcelain')).toBe('');
});

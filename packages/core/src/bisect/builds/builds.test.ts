import { expect, it } from 'vitest';
import type { BuildLine } from '../journal.js';
import type { BisectEvent } from '../options.js';
import type { Builder, BuildRequest } from './builder.js';
import { Builds } from './builds.js';

/** A builder whose builds end when the test says so. */
function makeBuilds() {
  const begun: string[] = [];
  const ended: string[] = [];
  const events: BisectEvent[] = [];
  const open = new Map<string, (line: BuildLine | Error) => void>();
  let running = 0;
  const builder: Builder = {
    directory: (commit) => commit,
    recover: async () => {},
    close: async () => {},
    buildReverted: async (_commit, _culprit, name) => ({ type: 'build', commit: name, id: name, ms: 1 }),
    build: (commit: string, { signal, ahead }: BuildRequest) => {
      expect(running, 'builds at once').toBe(0);
      running += 1;
      begun.push(`${commit}${ahead === true ? ' ahead' : ''}`);
      return new Promise<BuildLine>((resolve, reject) => {
        const end = (line: BuildLine | Error) => {
          running -= 1;
          if (line instanceof Error) reject(line);
          else resolve(line);
        };
        open.set(commit, end);
        signal?.addEventListener('abort', () => {
          ended.push(commit);
          end(new Error('aborted'));
        });
      });
    },
  };
  const builds = new Builds(builder, { signal: undefined, tell: (event) => void events.push(event) });
  const finish = async (commit: string, ms = 7) => {
    open.get(commit)?.({ type: 'build', commit, id: `id of ${commit}`, ms });
    await settle();
  };
  return { builds, begun, ended, events, open, finish };
}

const settle = () => new Promise((done) => setImmediate(done));

it('builds likely commits one after the other, and returns one that is asked for with the time that it took', async () => {
  const { builds, begun, finish, events } = makeBuilds();
  builds.ahead(['a', 'b', 'c']);
  await finish('a', 90);
  expect(begun).toEqual(['a ahead', 'b ahead']);
  expect(await builds.build('a', { isEnd: false })).toEqual({
    ...{ type: 'build', commit: 'a', id: 'id of a', ms: 90, aheadMs: 90 },
  });
  // The one under way goes on, and no other one begins.
  await finish('b');
  expect(begun).toEqual(['a ahead', 'b ahead']);
  expect(events.slice(0, 2)).toEqual([
    { type: 'building', commit: 'a', ahead: true },
    { type: 'built', commit: 'a' },
  ]);
});

it('waits for a build under way that is asked for, and ends another one', async () => {
  const { builds, begun, ended, finish } = makeBuilds();
  builds.ahead(['a']);
  const asked = builds.build('a', { isEnd: false });
  await finish('a', 1000);
  const { aheadMs } = await asked;
  expect(aheadMs).toBeLessThan(1000);
  builds.ahead(['b', 'c']);
  const other = builds.build('d', { isEnd: false });
  await settle();
  await finish('d');
  expect(await other).toEqual({ type: 'build', commit: 'd', id: 'id of d', ms: 7 });
  expect(ended).toEqual(['b']);
  expect(begun).toEqual(['a ahead', 'b ahead', 'd']);
});

it('keeps a build that is likely again, and ends one that is not', async () => {
  const { builds, begun, ended, finish } = makeBuilds();
  builds.ahead(['a', 'b']);
  builds.ahead(['b', 'a']);
  await finish('a');
  expect(begun).toEqual(['a ahead', 'b ahead']);
  builds.ahead(['c']);
  await settle();
  expect([begun.at(-1), ended]).toEqual(['c ahead', ['b']]);
  await builds.close();
  expect(ended).toEqual(['b', 'c']);
});

it('skips a commit whose build ahead failed, and builds one again that could not be made', async () => {
  const { builds, begun, open, finish } = makeBuilds();
  builds.ahead(['a', 'b']);
  open.get('a')?.({ type: 'build', commit: 'a', reason: 'its build ended with exit status 1', ms: 3 });
  await settle();
  open.get('b')?.(new Error('no space'));
  await settle();
  expect(await builds.build('a', { isEnd: false })).toMatchObject({ reason: 'its build ended with exit status 1' });
  const again = builds.build('b', { isEnd: false });
  await settle();
  await finish('b');
  expect(await again).toMatchObject({ id: 'id of b' });
  expect(begun).toEqual(['a ahead', 'b ahead', 'b']);
});

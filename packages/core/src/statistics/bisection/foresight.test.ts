import { expect, it } from 'vitest';
import { RateBisection } from './rate-bisection.js';

const COMMITS = 64;
const commits = Array.from({ length: COMMITS }, (_, i) => ({ id: `c${i}`, parents: i === 0 ? [] : [`c${i - 1}`] }));

/** A search whose ends were tried, where the failure always occurs from `culprit` on. */
function search(culprit: number) {
  const bisection = new RateBisection(commits);
  bisection.observe(`c${COMMITS - 1}`, { failures: 10, attempts: 10 });
  bisection.observeGoodEnd({ failures: 0, attempts: 10 });
  const built = new Set<string | undefined>([undefined, `c${COMMITS - 1}`]);
  const costs = { attempt: 1, prepare: (commit: string | undefined) => (built.has(commit) ? 0 : 30) };
  const fails = (commit: string | undefined) => commit !== undefined && Number(commit.slice(1)) >= culprit;
  return { bisection, built, costs, fails };
}

it.each([0, 5, 31, 40, 62])('foresees each build of a search for commit %i, and changes nothing', (culprit) => {
  const { bisection, built, costs, fails } = search(culprit);
  const isBuilt = (commit: string) => built.has(commit);
  let foreseen: readonly string[] | undefined;
  let builds = 0;
  for (let step = bisection.next(costs); step && !bisection.culprits(); step = bisection.next(costs)) {
    const { commit } = step;
    if (commit !== undefined && !built.has(commit)) {
      builds += 1;
      if (foreseen) expect(foreseen).toContain(commit);
      built.add(commit);
    }
    foreseen = bisection.foresee(step, costs, { isBuilt });
    expect(foreseen.filter(isBuilt)).toEqual([]);
    expect(bisection.next(costs)?.commit).toBe(commit);
    const failures = Number(fails(commit));
    bisection.observe(commit, { failures, attempts: failures === 1 ? 1 : step.attempts });
  }
  expect(builds).toBeGreaterThan(3);
  expect(bisection.culprits()).toMatchObject([{ commit: `c${culprit}` }]);
});

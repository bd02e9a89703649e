// The strategies that bench:bisect compares. Each takes a trial and returns the commits that it names.
import { RateBisection } from '../../packages/core/dist/statistics/index.js';

const CERTAINTY = 0.95;
const MAX_STEPS = 20_000;

/** Both ends, as one who knows the failure has tried them: three failures at the bad end, as many attempts at the good one. */
function tryEnds(trial) {
  trial.build(trial.end);
  trial.build(undefined);
  const bad = { failures: 0, attempts: 0 };
  while (bad.failures < 3) add(bad, trial.attempt(trial.end, 1));
  const good = { failures: 0, attempts: 0 };
  while (good.attempts < bad.attempts) add(good, trial.attempt(undefined, 1));
  return { bad, good };
}

function add(sum, { failures, attempts }) {
  sum.failures += failures;
  sum.attempts += attempts;
}

/** Ours: the most bits for the cost, then a confirmation with fresh attempts. */
export function rateAware(trial, buildCost) {
  const bisection = new RateBisection(trial.commits);
  const ends = tryEnds(trial);
  bisection.observe(trial.end, ends.bad);
  bisection.observeGoodEnd(ends.good);
  const costs = { attempt: 1, prepare: (id) => (trial.isReady(id) ? 0 : buildCost) };
  const observe = (id, count) => (id === undefined ? bisection.observeGoodEnd(count) : bisection.observe(id, count));
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const set = bisection.culprits(CERTAINTY);
    if (set) {
      const confirmation = bisection.confirm(set[0].commit);
      let next;
      let skipped = false;
      while (!skipped && (next = confirmation?.next())) {
        if (!trial.build(next.commit)) {
          bisection.skip(next.commit);
          skipped = true;
          continue;
        }
        const count = trial.attempt(next.commit, 1);
        confirmation.observe(next.commit, count);
        observe(next.commit, count);
      }
      if (skipped || confirmation?.state === 'refuted') continue;
      return set.map(({ commit }) => commit);
    }
    const step = bisection.next(costs);
    if (step === undefined) break;
    if (trial.build(step.commit)) bisection.observe(step.commit, trial.attempt(step.commit, step.attempts));
    else bisection.skip(step.commit);
  }
  return [bisection.suspects[0].commit];
}

/** `git bisect run` with `most` attempts a commit: tries the commit whose ancestors are nearest to half of what is left, as git does. */
export function gitBisectRun(most) {
  return (trial) => {
    const contains = ancestors(trial.commits);
    const index = new Map(trial.commits.map(({ id }, position) => [id, position]));
    let open = trial.commits.map((_, position) => position);
    const skipped = new Set([index.get(trial.end)]);
    while (open.length > 1) {
      let best;
      for (const position of open) {
        if (skipped.has(position)) continue;
        const inside = open.filter((other) => contains(position, other)).length;
        const score = Math.min(inside, open.length - inside);
        if (best === undefined || score > best.score) best = { position, score };
      }
      if (best === undefined || best.score === 0) break;
      const { id } = trial.commits[best.position];
      if (!trial.build(id)) {
        skipped.add(best.position);
        continue;
      }
      const failed = trial.attempt(id, most).failures > 0;
      if (failed) skipped.add(best.position);
      open = open.filter((other) => contains(best.position, other) === failed);
    }
    return open.map((position) => trial.commits[position].id);
  };
}

/** Returns whether one commit contains another, for each pair, as bit sets. */
function ancestors(commits) {
  const words = Math.ceil(commits.length / 32);
  const sets = new Map();
  for (const [position, { id, parents }] of commits.entries()) {
    const set = new Uint32Array(words);
    for (const parent of parents) for (let word = 0; word < words; word++) set[word] |= sets.get(parent)[word];
    set[position >>> 5] |= 1 << (position & 31);
    sets.set(id, set);
  }
  const ordered = commits.map(({ id }) => sets.get(id));
  return (position, other) => (ordered[position][other >>> 5] & (1 << (other & 31))) !== 0;
}

/** The rule of git-bayesect: the commit whose next attempt lowers the entropy most, whatever it costs, one attempt at a time. */
export function entropyOnly(trial) {
  const bisection = new RateBisection(trial.commits);
  const ends = tryEnds(trial);
  bisection.observe(trial.end, ends.bad);
  bisection.observeGoodEnd(ends.good);
  // What a build costs plays no part in that rule.
  const costs = { attempt: 1, prepare: () => 1e-9 };
  for (let steps = 0; steps < MAX_STEPS && !bisection.culprits(CERTAINTY); steps++) {
    const step = bisection.next(costs, { maxAttempts: 1 });
    if (step === undefined) break;
    if (trial.build(step.commit)) bisection.observe(step.commit, trial.attempt(step.commit, 1));
    else bisection.skip(step.commit);
  }
  return [bisection.suspects[0].commit];
}

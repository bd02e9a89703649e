// The strategies that bench:bisect compares. Each takes a trial and returns the commits that it names.
import { EndsTest, RateBisection } from '../../packages/core/dist/statistics/index.js';

const CERTAINTY = 0.95;
const MAX_STEPS = 20_000;

/** Tries both ends until their rates are known to differ. */
function tryEnds(trial) {
  trial.isSearching = false;
  trial.build(trial.end);
  trial.build(undefined);
  const ends = new EndsTest();
  for (let end = ends.next(); end; end = ends.next())
    ends.observe(end, trial.attempt(end === 'bad' ? trial.end : undefined, 1).failures > 0);
  trial.isSearching = true;
  return ends.counts;
}

/** Ours: the most bits for the cost, then a confirmation with fresh attempts. */
export function rateAware(trial, buildCost, known = {}) {
  const bisection = new RateBisection(trial.commits, known);
  const ends = tryEnds(trial);
  bisection.observe(trial.end, ends.bad);
  bisection.observe(undefined, ends.good);
  const costs = { attempt: 1, prepare: (id) => (trial.isReady(id) ? 0 : buildCost) };
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const set = bisection.culprits(CERTAINTY);
    if (set) {
      const confirmation = bisection.confirm(set[0].commit);
      let next;
      let skipped = false;
      trial.isSearching = false;
      while (!skipped && (next = confirmation?.next())) {
        if (!trial.build(next.commit)) {
          bisection.skip(next.commit);
          skipped = true;
          continue;
        }
        const count = trial.attempt(next.commit, 1);
        confirmation.observe(next.commit, count);
        bisection.observe(next.commit, count);
      }
      trial.isSearching = true;
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

/** For each certainty the first answer that has it, without any confirmation; undefined where the search ends before. */
export function firstAnswers(trial, buildCost, certainties) {
  const bisection = new RateBisection(trial.commits);
  const ends = tryEnds(trial);
  bisection.observe(trial.end, ends.bad);
  bisection.observe(undefined, ends.good);
  const costs = { attempt: 1, prepare: (id) => (trial.isReady(id) ? 0 : buildCost) };
  const answers = certainties.map(() => undefined);
  for (let steps = 0; steps < MAX_STEPS && answers.includes(undefined); steps++) {
    for (const [i, certainty] of certainties.entries())
      answers[i] ??= bisection.culprits(certainty)?.map(({ commit }) => commit);
    const step = bisection.next(costs);
    if (step === undefined) break;
    if (trial.build(step.commit)) bisection.observe(step.commit, trial.attempt(step.commit, step.attempts));
    else bisection.skip(step.commit);
  }
  return answers;
}

/** `git bisect run` with `most` attempts a commit: tries the commit whose ancestors are nearest to half of what is left, as git does. */
export function gitBisectRun(most) {
  return (trial) => {
    const sets = ancestors(trial.commits);
    let open = sets.reduce((all, set) => all.map((word, i) => word | set[i]));
    let left = trial.commits.length;
    const skipped = new Set([trial.commits.length - 1]);
    while (left > 1) {
      let best;
      for (const [position, set] of sets.entries()) {
        if (skipped.has(position) || !holds(open, position)) continue;
        const inside = countCommon(set, open);
        const score = Math.min(inside, left - inside);
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
      const set = sets[best.position];
      open = open.map((word, i) => word & (failed ? set[i] : ~set[i]));
      left = countCommon(open, open);
    }
    return trial.commits.filter((_, position) => holds(open, position)).map(({ id }) => id);
  };
}

/** Returns for each commit the set of itself and its ancestors, a bit for each position. */
function ancestors(commits) {
  const words = Math.ceil(commits.length / 32);
  const sets = new Map();
  for (const [position, { id, parents }] of commits.entries()) {
    const set = new Uint32Array(words);
    for (const parent of parents) for (let word = 0; word < words; word++) set[word] |= sets.get(parent)[word];
    set[position >>> 5] |= 1 << (position & 31);
    sets.set(id, set);
  }
  return commits.map(({ id }) => sets.get(id));
}

function holds(set, position) {
  return (set[position >>> 5] & (1 << (position & 31))) !== 0;
}

function countCommon(one, other) {
  let count = 0;
  for (let word = 0; word < one.length; word++)
    for (let bits = one[word] & other[word]; bits !== 0; bits &= bits - 1) count++;
  return count;
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

import { type BisectionStep, type Candidates, chooseStep } from './choice.js';
import { GOOD_END } from './posterior.js';

/** A step that needs nothing new is followed by another one; so many are looked at. */
const DEPTH = 4;

interface Foresight extends Candidates {
  /** Whether a commit was built before. */
  readonly isBuilt: (commit: string) => boolean;
  /** From this probability on a commit is confirmed, together with its parents. */
  readonly certainty: number;
}

/** Returns the commits that are likely to be built next, should the attempts of a step fail or not: the more likely ones first. */
export function foresee(step: BisectionStep, given: Foresight): string[] {
  const { history, posterior, rates } = given;
  const index = step.commit === undefined ? GOOD_END : (history.indexOf(step.commit) ?? GOOD_END);
  const inside = index === GOOD_END ? 0 : posterior.probabilityInside(index);
  let [failing, before, after] = [0, 0, 0];
  for (const group of posterior.groups) {
    const fails = (side: 'before' | 'after') => 1 - (rates[side].survival(group[side], step.attempts).at(-1) ?? 1);
    failing += group.probability * (inside * fails('after') + (1 - inside) * fails('before'));
    before += group.probability * rates.before.mean(group.before);
    after += group.probability * rates.after.mean(group.after);
  }
  const rate = Math.max(inside * after + (1 - inside) * before, 1e-3);
  const outcomes = failing >= 0.5 ? [true, false] : [false, true];
  return [...new Set(outcomes.flatMap((fails) => following(step, fails, rate, given)))];
}

/** Returns what is to be built when this step, and those after it that need no build, have the same outcome. */
function following(first: BisectionStep, fails: boolean, rate: number, given: Foresight): readonly string[] {
  const { history, costs, isBuilt, certainty } = given;
  const posterior = given.posterior.copy();
  const tried = new Set<string | undefined>();
  const prepare = (commit: string | undefined) => (tried.has(commit) ? 0 : costs.prepare(commit));
  let step: BisectionStep | undefined = first;
  for (let depth = 0; depth < DEPTH && step; depth += 1) {
    const { commit, attempts } = step;
    if (depth > 0 && commit !== undefined && !isBuilt(commit)) return [commit];
    tried.add(commit);
    const index = commit === undefined ? GOOD_END : (history.indexOf(commit) ?? GOOD_END);
    const until = Math.min(attempts, Math.max(1, Math.round(1 / rate)));
    posterior.observe(index, fails ? { failures: 1, attempts: until } : { failures: 0, attempts });
    const best = posterior.weights.reduce(
      (most, weight, one) => (weight > (posterior.weights[most] ?? 0) ? one : most),
      0,
    );
    if ((posterior.weights[best] ?? 0) >= certainty) {
      const commits = [best, ...history.parentsOf(best)].filter((one) => !given.skipped.has(one));
      return commits.flatMap((one) => history.commits[one]?.id ?? []).filter((id) => !isBuilt(id));
    }
    step = chooseStep({ ...given, posterior, costs: { ...costs, prepare } });
  }
  return [];
}

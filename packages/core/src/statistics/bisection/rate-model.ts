import { QmpilotError } from '../../errors.js';
import type { Count } from '../count.js';
import { logBeta } from './log-gamma.js';

/** Knowledge of a failure rate: a Beta prior, or the rate itself. */
export type RatePrior = { readonly alpha: number; readonly beta: number } | { readonly rate: number };

/** Jeffreys' prior: the one that the model uses when nothing is known of a rate. */
export const JEFFREYS: RatePrior = { alpha: 0.5, beta: 0.5 };

/** One side of the change: before the culprit, or from the culprit on. */
export class RateModel {
  readonly #prior: RatePrior;

  /** @throws {USAGE} when a rate is not between 0 and 1, or a parameter of the prior is not positive */
  constructor(name: string, prior: RatePrior) {
    const valid = 'rate' in prior ? prior.rate >= 0 && prior.rate <= 1 : prior.alpha > 0 && prior.beta > 0;
    if (!valid) throw new QmpilotError('USAGE', `invalid ${name}: ${JSON.stringify(prior)}`);
    this.#prior = prior;
  }

  /** Returns the logarithm of the probability of these attempts, in their order. */
  logLikelihood({ failures, attempts }: Count): number {
    const prior = this.#prior;
    const passes = attempts - failures;
    if ('rate' in prior) return times(failures, Math.log(prior.rate)) + times(passes, Math.log1p(-prior.rate));
    return logBeta(prior.alpha + failures, prior.beta + passes) - logBeta(prior.alpha, prior.beta);
  }

  /** Returns the expected rate behind these attempts. */
  mean({ failures, attempts }: Count): number {
    const prior = this.#prior;
    if ('rate' in prior) return prior.rate;
    return (prior.alpha + failures) / (prior.alpha + prior.beta + attempts);
  }

  /**
   * Returns the probability that none of the next 0, 1, ... `count` attempts fails: `count` + 1 numbers, the first is 1.
   * With an unknown rate each pass makes the next one more likely.
   */
  survival({ failures, attempts }: Count, count: number): Float64Array {
    const prior = this.#prior;
    const survival = new Float64Array(count + 1);
    survival[0] = 1;
    for (let i = 0; i < count; i += 1) {
      const pass =
        'rate' in prior
          ? 1 - prior.rate
          : (prior.beta + attempts - failures + i) / (prior.alpha + prior.beta + attempts + i);
      survival[i + 1] = (survival[i] ?? 0) * pass;
    }
    return survival;
  }
}

/** `count` times `value`, where no times minus infinity is nothing. */
function times(count: number, value: number): number {
  return count === 0 ? 0 : count * value;
}

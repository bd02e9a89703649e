import type { Count } from '../count.js';
import type { RateModel } from './rate-model.js';

/** A commit that the confirmation tries, and on which side of the change it should be. */
interface Subject {
  readonly commit: string | undefined;
  readonly expected: 'before' | 'after';
  readonly seen: { failures: number; attempts: number };
}

/** The result of a confirmation: undecided until each commit was tested often enough. */
export type ConfirmationState = 'undecided' | 'confirmed' | 'refuted';

/** What is known of the rates from all other attempts, and from which ratio of the likelihoods on a commit counts as decided. */
export interface ConfirmationEvidence {
  readonly rates: { readonly before: RateModel; readonly after: RateModel };
  readonly before: Count;
  readonly after: Count;
  readonly ratio: number;
}

/**
 * Checks a suspect with fresh attempts only: the suspect has to fail at the rate after the change, and each of its parents at the
 * rate before it. Decides for each commit by the ratio of the likelihoods of the two rates (a sequential test).
 */
export class Confirmation {
  /** The commit under suspicion. */
  readonly commit: string;
  readonly #subjects: readonly Subject[];
  readonly #evidence: ConfirmationEvidence;

  /** A parent that is undefined stands for the good end. */
  constructor(commit: string, parents: readonly (string | undefined)[], evidence: ConfirmationEvidence) {
    this.commit = commit;
    this.#evidence = evidence;
    this.#subjects = [
      { commit, expected: 'after', seen: { failures: 0, attempts: 0 } },
      ...parents.map((parent) => ({ commit: parent, expected: 'before' as const, seen: { failures: 0, attempts: 0 } })),
    ];
  }

  get state(): ConfirmationState {
    const limit = Math.log(this.#evidence.ratio);
    const ratios = this.#subjects.map((subject) => this.#logRatio(subject));
    if (ratios.some((ratio) => ratio <= -limit)) return 'refuted';
    return ratios.every((ratio) => ratio >= limit) ? 'confirmed' : 'undecided';
  }

  /** Returns the commit to try next; `commit` undefined stands for the good end. Returns undefined when the state is decided. */
  next(): { readonly commit: string | undefined } | undefined {
    if (this.state !== 'undecided') return undefined;
    const limit = Math.log(this.#evidence.ratio);
    const subject = this.#subjects.find((one) => this.#logRatio(one) < limit);
    return subject && { commit: subject.commit };
  }

  /** Adds fresh attempts on the suspect or on one of its parents. */
  observe(commit: string | undefined, { failures, attempts }: Count): void {
    const subject = this.#subjects.find((one) => one.commit === commit);
    if (subject === undefined) return;
    subject.seen.failures += failures;
    subject.seen.attempts += attempts;
  }

  /** The counts of each commit. */
  get counts(): readonly {
    readonly commit: string | undefined;
    readonly failures: number;
    readonly attempts: number;
  }[] {
    return this.#subjects.map(({ commit, seen }) => ({ commit, ...seen }));
  }

  /** Positive when the attempts on the commit speak for the side on which it is expected. */
  #logRatio({ expected, seen }: Subject): number {
    const { rates, before, after } = this.#evidence;
    const likelihood = (model: RateModel, known: Count) =>
      model.logLikelihood({ failures: known.failures + seen.failures, attempts: known.attempts + seen.attempts }) -
      model.logLikelihood(known);
    const ifAfter = likelihood(rates.after, after);
    const ifBefore = likelihood(rates.before, before);
    if (ifAfter === ifBefore) return 0;
    return expected === 'after' ? ifAfter - ifBefore : ifBefore - ifAfter;
  }
}

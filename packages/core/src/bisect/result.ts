import type { Count } from '../statistics/count.js';

/**
 * - `confirmed`: fresh attempts on the culprit and on its parents agree.
 * - `unconfirmed`: the search has an answer, but the confirmation did not come to a decision.
 * - `undecided`: a limit was reached, or no commit that can be tried tells more: `suspects` holds the culprit with 95 %.
 * - `indistinct`: nothing was searched, as the ends do not differ.
 * - `reversed`: nothing was searched, as the good end fails more often.
 */
export type BisectState = 'confirmed' | 'unconfirmed' | 'undecided' | 'indistinct' | 'reversed';

/** A commit, and how likely it is the culprit. */
export interface BisectSuspect {
  readonly commit: string;
  readonly subject: string;
  readonly probability: number;
}

/** Attempts of a commit that came to a verdict. */
export interface BisectCount extends Count {
  readonly commit: string;
}

/** Attempts at the bad end with the culprit reverted, or the reason why there are none. */
export type BisectRevert =
  | { readonly reason: string }
  /** `isLower`: the failure is rarer than at the bad end itself (Fisher's exact test, one-sided, 5 %). */
  | { readonly failures: number; readonly attempts: number; readonly isLower: boolean };

/** The result of a bisection; also `result.json` in its directory. */
export interface BisectResult {
  readonly v: 1;
  readonly state: BisectState;
  /** The reason for the state, as a sentence. */
  readonly reason: string;
  /** The answer: one commit, or several that no attempt tells apart. Empty without one. */
  readonly culprits: readonly BisectSuspect[];
  /** The smallest set of commits that holds the culprit with a probability of 95 %, the most likely first; at most 20. */
  readonly suspects: readonly BisectSuspect[];
  /** Number of commits that were to be told apart. */
  readonly commits: number;
  readonly good: string;
  readonly bad: string;
  /** The failure that counts; undefined when none was seen. */
  readonly signature?: string;
  /** Attempts at the ends, before the search. */
  readonly ends: { readonly good: Count; readonly bad: Count };
  /** Expected failure rates before the culprit and from it on. */
  readonly rates: { readonly before: number; readonly after: number };
  /** Fresh attempts of the last confirmation: on the culprit, then on its parents. */
  readonly confirmation: readonly BisectCount[];
  /** The bad end with the culprit reverted; only of a confirmed answer. That it still fails refutes nothing: it may have other causes. */
  readonly revert?: BisectRevert;
  /** All attempts, by commit. */
  readonly counts: readonly BisectCount[];
  /** Commits that could not be tried. */
  readonly skipped: readonly { readonly commit: string; readonly reason: string }[];
  /** Number of builds, failed ones included. */
  readonly builds: number;
  readonly attempts: number;
  /** Time of builds and attempts of all sessions, in ms. */
  readonly ms: number;
  /** The directory of the bisection. */
  readonly dir: string;
}

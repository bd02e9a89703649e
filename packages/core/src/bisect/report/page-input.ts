import type { HistoryCommit } from '../../statistics/bisection/history.js';
import type { About } from '../journal.js';
import type { BisectPurpose } from '../options.js';
import type { BisectResult } from '../result.js';

/** A series of attempts on one build. */
export interface Series {
  /** The name of its run directory. */
  readonly name: string;
  /** Where its report is, from the page. */
  readonly path: string;
  readonly purpose: BisectPurpose;
  readonly commit: string;
  readonly failures: number;
  /** Attempts that count. */
  readonly verdicts: number;
  readonly made: number;
  readonly unusable?: string | undefined;
  readonly ms: number;
}

/** What the page of a bisection is made from. */
export interface BisectionPage {
  readonly result: BisectResult;
  readonly about: Pick<About, 'startedAt' | 'repo' | 'kernels' | 'build' | 'install' | 'paths'>;
  /** The range, children before parents. */
  readonly history: readonly HistoryCommit[];
  /** The probability of each commit. */
  readonly probabilities: ReadonlyMap<string, number>;
  /** Commits that the page lists. */
  readonly shown: ReadonlySet<string>;
  /** Subjects of the listed commits and of the good end. */
  readonly subjects: ReadonlyMap<string, string>;
  readonly series: readonly Series[];
  /** Host, QEMU and guest of the attempts. */
  readonly environment: readonly { readonly name: string; readonly value: string }[];
}

/** A history of so many commits is listed completely. */
const SHORT_HISTORY = 100;
const MAX_SUSPECTS = 60;

/** Chooses the commits that are listed: all of a short history, else the ends and those that were tried, skipped, or are likely. */
export function shownCommits(
  history: readonly HistoryCommit[],
  result: BisectResult,
  suspects: readonly { readonly commit: string }[],
): Set<string> {
  if (history.length <= SHORT_HISTORY) return new Set(history.map(({ id }) => id));
  const wanted = new Set(
    [...result.counts, ...result.skipped, ...result.culprits, ...suspects.slice(0, MAX_SUSPECTS)].map(
      ({ commit }) => commit,
    ),
  );
  wanted.add(result.bad);
  return new Set(history.flatMap(({ id }) => (wanted.has(id) ? [id] : [])));
}

import type { Confirmation } from '../statistics/bisection/confirmation.js';
import type { EndsTest } from '../statistics/bisection/ends-test.js';
import { RateBisection, type Suspect } from '../statistics/bisection/rate-bisection.js';
import type { Count } from '../statistics/count.js';
import { nounOf } from './commit-name.js';
import { elapsedMs, learnCosts } from './costs.js';
import { testEnds } from './ends.js';
import type { Range } from './git/range.js';
import type { BisectJournal } from './journal.js';
import type { BisectEvent, BisectLimits } from './options.js';
import type { BisectRevert, BisectState } from './result.js';
import { tryRevert } from './revert.js';
import type { Tried, Tries } from './tries.js';

/** A confirmation that ends without a decision, or is refuted, is followed by more of the search, so often. */
const MAX_CONFIRMATIONS = 5;
const MAX_SERIES = 40;
const LONGEST_SERIES = 32;
/** So many of the most likely commits are named in events. */
const LIKELIEST = 5;

interface SearchParts {
  readonly range: Range;
  readonly journal: BisectJournal;
  readonly tries: Tries;
  readonly limits: BisectLimits;
  readonly tell: (event: BisectEvent) => void;
}

/** What a search came to. */
export interface SearchEnd {
  readonly state: BisectState;
  readonly reason: string;
  readonly culprits: readonly Suspect[];
  readonly ends: EndsTest;
  readonly bisection: RateBisection;
  readonly confirmation?: Confirmation | undefined;
  readonly revert?: BisectRevert | undefined;
}

/** The decisions of a bisection. All follow from the journal: a session that replays it comes to the same ones. */
export class Search {
  readonly #parts: SearchParts;
  readonly #bisection: RateBisection;
  /** Commits of the search that were compared with those that were built before. */
  readonly #merged = new Set<string>();

  constructor(parts: SearchParts) {
    this.#parts = parts;
    const { rate, background } = parts.journal.about;
    this.#bisection = new RateBisection(parts.range.commits, {
      ...(rate !== undefined && { rate: { rate } }),
      ...(background !== undefined && { background: { rate: background } }),
    });
    for (const commit of parts.range.skip) this.#bisection.skip(commit);
  }

  async run(): Promise<SearchEnd> {
    const { tries, range, limits } = this.#parts;
    const ends = await testEnds(tries, range, limits.maxEndAttempts);
    const bisection = this.#bisection;
    const { decision } = ends;
    if (decision !== 'differ')
      return {
        state: decision === 'reversed' ? 'reversed' : 'indistinct',
        reason: ends.describe(),
        culprits: [],
        ends,
        bisection,
      };
    for (const { commit, failures, attempts } of tries.counts) this.#add(commit, { failures, attempts });

    let confirmation: Confirmation | undefined;
    for (let confirmations = 0; ;) {
      await this.#tellState();
      const end = (state: BisectState, reason: string, culprits: readonly Suspect[]) => ({
        ...{ state, reason, culprits, ends, bisection, confirmation },
      });
      if (bisection.isContradicted)
        return end('undecided', `no ${nounOf(range.bad)} explains the attempts with the rates that were given`, []);
      const culprits = bisection.culprits(limits.certainty);
      const limit = this.#limitReached();
      if (culprits && limit === undefined && confirmations < MAX_CONFIRMATIONS) {
        confirmations += 1;
        confirmation = await this.#confirm(culprits);
        if (confirmation?.state === 'confirmed') {
          const confirmed = end('confirmed', 'fresh attempts confirm the answer', culprits);
          return { ...confirmed, revert: await this.#revert(culprits) };
        }
        continue;
      }
      if (culprits) return end('unconfirmed', limit ?? 'fresh attempts do not confirm the answer', culprits);
      if (limit !== undefined) return end('undecided', limit, []);
      const costs = learnCosts(this.#parts.journal.past, range.good);
      const step = bisection.next(costs);
      if (!step) return end('undecided', `no ${nounOf(range.bad)} that can be tried tells more`, []);
      const commit = step.commit ?? range.good;
      const foresee = () => {
        const isBuilt = (one: string) => one === commit || tries.isBuilt(one);
        return limits.buildAhead ? bisection.foresee(step, costs, { isBuilt, certainty: limits.certainty }) : [];
      };
      this.#take(commit, await tries.try('search', commit, step.attempts, foresee));
    }
  }

  async #confirm(culprits: readonly Suspect[]): Promise<Confirmation | undefined> {
    const confirmation = this.#bisection.confirm(culprits[0]?.commit ?? '');
    if (!confirmation) return undefined;
    const { tries, range } = this.#parts;
    let series = 4;
    for (let number = 0; number < MAX_SERIES && this.#limitReached() === undefined; number += 1) {
      const next = confirmation.next();
      if (!next) break;
      const tried = await tries.try('confirmation', next.commit ?? range.good, series);
      this.#take(next.commit ?? range.good, tried);
      // The search goes on without this commit.
      if ('skipped' in tried) break;
      confirmation.observe(next.commit, countOf(tried.failed));
      series = Math.min(2 * series, LONGEST_SERIES);
    }
    return confirmation;
  }

  async #revert(culprits: readonly Suspect[]): Promise<BisectRevert | undefined> {
    const reason = this.#limitReached();
    return reason === undefined ? tryRevert(this.#parts.tries, this.#parts.range, culprits) : { reason };
  }

  /** Takes what came of a commit of the search. */
  #take(commit: string, tried: Tried): void {
    if ('skipped' in tried) this.#skip(commit);
    else this.#add(commit, countOf(tried.failed));
    const { good } = this.#parts.range;
    if (commit === good || this.#merged.has(commit)) return;
    this.#merged.add(commit);
    for (const twin of this.#parts.tries.twinsOf(commit))
      this.#bisection.sameBuild(commit, twin === good ? undefined : twin);
  }

  #add(commit: string, count: Count): void {
    if (commit === this.#parts.range.good) this.#bisection.observeGoodEnd(count);
    else this.#bisection.observe(commit, count);
  }

  #skip(commit: string): void {
    this.#bisection.skip(commit === this.#parts.range.good ? undefined : commit);
  }

  /** The reason to end the search; undefined while there is none. */
  #limitReached(): string | undefined {
    const { journal, limits } = this.#parts;
    // A session that continues one with another limit makes its decisions again first.
    if (journal.replays) return undefined;
    const builds = journal.past.filter(({ type }) => type === 'build').length;
    if (builds >= limits.maxBuilds) return `the limit of ${limits.maxBuilds} builds is reached`;
    const ms = elapsedMs(journal.past);
    return ms >= limits.maxTimeMs ? `the limit of ${Math.round(limits.maxTimeMs / 1000)} s is reached` : undefined;
  }

  async #tellState(): Promise<void> {
    const { range, journal, tell } = this.#parts;
    const likeliest = this.#bisection.suspects.slice(0, LIKELIEST);
    const subjects = await range.subjects(likeliest.map(({ commit }) => commit));
    tell({
      type: 'state',
      suspects: this.#bisection.credibleSet().length,
      commits: range.commits.length,
      entropy: this.#bisection.entropy,
      likeliest: likeliest.map((one) => ({ ...one, subject: subjects.get(one.commit) ?? '' })),
      builds: journal.past.filter(({ type }) => type === 'build').length,
      ms: elapsedMs(journal.past),
    });
  }
}

function countOf(failed: readonly boolean[]): Count {
  return { failures: failed.filter(Boolean).length, attempts: failed.length };
}

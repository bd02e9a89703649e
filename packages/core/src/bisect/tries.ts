import { join } from 'node:path';
import { QmpilotError } from '../errors.js';
import type { Count } from '../statistics/count.js';
import { makeAttempts } from './attempts.js';
import type { Builds } from './builds/builds.js';
import { shortName } from './commit-name.js';
import type { AttemptsLine, BisectJournal } from './journal.js';
import type { BisectBuild, BisectEvent, BisectOptions, BisectPurpose } from './options.js';

/** So many attempts without a verdict show that a commit cannot be tried. */
const ENOUGH_WITHOUT_VERDICT = 4;

/** What came of trying a commit. */
export type Tried =
  | { readonly skipped: string }
  /** For each attempt with a verdict whether the wanted failure occurred. */
  | { readonly failed: readonly boolean[] };

interface TriesOptions {
  readonly journal: BisectJournal;
  readonly builds: Builds;
  readonly options: BisectOptions;
  readonly tell: (event: BisectEvent) => void;
}

/** Builds commits and makes attempts on them, or reads from the journal what came of it. */
export class Tries {
  readonly #parts: TriesOptions;
  readonly #ids = new Map<string, string>();
  /** All attempts of each commit. */
  readonly #attempts = new Map<string, AttemptsLine['attempts']>();
  readonly #skipped = new Map<string, string>();
  /** The most frequent failure at the bad end; before it has failed, that of the good end. */
  readonly #seen: { bad?: string | undefined; good?: string | undefined } = {};

  constructor(parts: TriesOptions) {
    this.#parts = parts;
  }

  /** The failure that counts. Until the bad end has failed, that of the good end: the two may be swapped. */
  get signature(): string | undefined {
    return this.#parts.options.signature ?? this.#seen.bad ?? this.#seen.good;
  }

  /** Commits with their counts. */
  get counts(): readonly (Count & { readonly commit: string })[] {
    return [...this.#attempts.keys()].map((commit) => ({ commit, ...this.countOf(commit) }));
  }

  countOf(commit: string): Count {
    const failed = this.verdictsOf(commit);
    return { failures: failed.filter(Boolean).length, attempts: failed.length };
  }

  /** Number of attempts of a commit, also of those without a verdict. */
  madeOf(commit: string): number {
    return this.#attempts.get(commit)?.length ?? 0;
  }

  /** For each attempt of a commit that came to a verdict, whether the failure that counts occurred. */
  verdictsOf(commit: string): readonly boolean[] {
    return (this.#attempts.get(commit) ?? []).flatMap((signatures) => this.verdict(signatures));
  }

  get skipped(): readonly { readonly commit: string; readonly reason: string }[] {
    return [...this.#skipped].map(([commit, reason]) => ({ commit, reason }));
  }

  /** Whether a commit needs no build: it was built, or cannot be. */
  isBuilt(commit: string): boolean {
    return this.#ids.has(commit) || this.#skipped.has(commit);
  }

  /** Returns the commits that were built before this one with the same result. */
  twinsOf(commit: string): readonly string[] {
    const id = this.#ids.get(commit);
    return [...this.#ids].filter(([other, its]) => other !== commit && its === id).map(([other]) => other);
  }

  /**
   * Tries a commit; those of the search end at the first failure. What `foresee` returns is built while attempts are made.
   * @throws what a build or attempts of an end throw
   */
  async try(
    purpose: BisectPurpose,
    commit: string,
    wanted: number,
    foresee: () => readonly string[] = () => [],
  ): Promise<Tried> {
    const reason = this.#skipped.get(commit) ?? (await this.#build(purpose, commit));
    if (reason !== undefined) return { skipped: reason };
    const build = { commit, dir: this.#parts.builds.directory(commit), id: this.#ids.get(commit) ?? '' };
    return this.#take(await this.#attempt(purpose, build, wanted, foresee));
  }

  /** Tries a commit in which another one is reverted. These attempts count for no commit. */
  async tryReverted(commit: string, culprit: string, wanted: number): Promise<Tried> {
    const { journal, builds, tell } = this.#parts;
    const name = `${commit}-reverted`;
    const { id, reason } = await journal.build(name, () => {
      const [end, reverted] = [shortName(commit), shortName(culprit)];
      tell({ type: 'progress', message: `building ${end} with ${reverted} reverted` });
      return builds.buildReverted(commit, culprit, name);
    });
    if (id === undefined) return { skipped: reason ?? 'it does not build' };
    if (id === this.#ids.get(commit)) return { skipped: 'the build is the same with and without it' };
    const line = await this.#attempt('revert', { commit, dir: builds.directory(name), id }, wanted);
    if (line.unusable !== undefined) return { skipped: line.unusable };
    const failed = line.attempts.flatMap((signatures) => this.verdict(signatures));
    const failures = failed.filter(Boolean).length;
    tell({ type: 'attempts', purpose: 'revert', commit, failures, attempts: failed.length });
    return failed.length === 0 ? { skipped: 'its attempts came to no verdict' } : { failed };
  }

  async #attempt(
    purpose: BisectPurpose,
    build: BisectBuild,
    wanted: number,
    foresee: () => readonly string[] = () => [],
  ): Promise<AttemptsLine> {
    const { journal, builds, options } = this.#parts;
    const { about, dir } = journal;
    const run = join(dir, 'runs', seriesName(journal.position));
    const source = about.source ?? { file: 'bisect', sha256: about.id };
    const { commit } = build;
    return journal.attempts({ purpose, commit, wanted }, async () => {
      this.#parts.tell({ type: 'series', purpose, commit, wanted });
      // Attempts in parallel need all cores.
      if (purpose === 'search') builds.ahead(foresee());
      else await builds.stop();
      return makeAttempts({ purpose, build, wanted, dir: run, source }, options);
    });
  }

  /** @returns the reason why the commit is skipped */
  async #build(purpose: BisectPurpose, commit: string): Promise<string | undefined> {
    if (this.#ids.has(commit)) return undefined;
    const { journal, builds } = this.#parts;
    const { id, reason } = await journal.build(commit, () => builds.build(commit, { isEnd: purpose === 'ends' }));
    if (id === undefined) return this.#skip(commit, reason ?? 'it does not build');
    this.#ids.set(commit, id);
    return undefined;
  }

  #take({ purpose, commit, attempts, unusable }: AttemptsLine): Tried {
    this.#attempts.set(commit, [...(this.#attempts.get(commit) ?? []), ...attempts]);
    if (purpose === 'ends') {
      const end = commit === this.#parts.journal.about.bad ? 'bad' : 'good';
      this.#seen[end] ??= mostFrequent(attempts);
    }
    const failed = attempts.flatMap((signatures) => this.verdict(signatures));
    const failures = failed.filter(Boolean).length;
    this.#parts.tell({ type: 'attempts', purpose, commit, failures, attempts: failed.length });
    if (unusable !== undefined) return { skipped: this.#skip(commit, unusable) };
    const made = this.madeOf(commit);
    if (this.verdictsOf(commit).length > 0 || made < ENOUGH_WITHOUT_VERDICT) return { failed };
    const reason = `${made} attempts came to no verdict about the failure`;
    if (purpose === 'ends')
      throw new QmpilotError('SCENARIO', `the end ${shortName(commit)} cannot be tried: ${reason}`, {
        hint: 'look at the evidence of its attempts, below runs/',
      });
    return { skipped: this.#skip(commit, reason) };
  }

  /** Whether an attempt failed, by its signatures. Another failure than the wanted one may have hidden it: such an attempt counts as none. */
  verdict(signatures: readonly string[] | null): readonly boolean[] {
    if (signatures === null) return [];
    if (signatures.length === 0) return [false];
    return this.signature !== undefined && signatures.includes(this.signature) ? [true] : [];
  }

  #skip(commit: string, reason: string): string {
    this.#skipped.set(commit, reason);
    this.#parts.tell({ type: 'progress', message: `skipping ${shortName(commit)}: ${reason}` });
    return reason;
  }
}

function mostFrequent(attempts: readonly (readonly string[] | null)[]): string | undefined {
  const counts = new Map<string, number>();
  for (const signature of attempts.flatMap((signatures) => signatures ?? []))
    counts.set(signature, (counts.get(signature) ?? 0) + 1);
  return [...counts].toSorted(([, one], [, other]) => other - one)[0]?.[0];
}

/** Returns the name of the run directory of a step. */
export function seriesName(position: number): string {
  return String(position + 1).padStart(4, '0');
}

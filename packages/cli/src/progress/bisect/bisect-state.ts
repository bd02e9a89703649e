import type { BisectEvent, BisectPurpose } from '@qmpilot/core/bisect';
import { ProgressState } from '../progress-state.js';

/** What is known after a step of the search. */
export type SearchState = Extract<BisectEvent, { readonly type: 'state' }>;

interface Count {
  readonly failures: number;
  readonly attempts: number;
}

/** The state of the live display of a bisection, computed from its events alone. Times are in ms, on the clock of the caller. */
export class BisectProgress {
  /** Of each commit that is built now. */
  readonly #building = new Map<string, { readonly since: number; line: string }>();
  readonly #ends = new Map<string, Count>();
  #series: { readonly purpose: BisectPurpose; readonly commit: string; readonly run: ProgressState } | undefined;
  #first: SearchState | undefined;
  #search: SearchState | undefined;

  take(event: BisectEvent, now: number): void {
    switch (event.type) {
      case 'building':
        this.#building.set(event.commit, { since: now, line: '' });
        return;
      case 'build-output': {
        const build = this.#building.get(event.commit);
        if (build) build.line = event.line;
        return;
      }
      case 'built':
        this.#building.delete(event.commit);
        return;
      case 'series':
        this.#series = { purpose: event.purpose, commit: event.commit, run: new ProgressState() };
        return;
      case 'run':
        this.#series?.run.take(event.event, now);
        return;
      case 'attempts': {
        this.#series = undefined;
        if (event.purpose !== 'ends') return;
        const { failures, attempts } = this.#ends.get(event.commit) ?? { failures: 0, attempts: 0 };
        this.#ends.set(event.commit, { failures: failures + event.failures, attempts: attempts + event.attempts });
        return;
      }
      case 'state':
        this.#first ??= event;
        this.#search = event;
    }
  }

  get building(): readonly { readonly commit: string; readonly since: number; readonly line: string }[] {
    return [...this.#building].map(([commit, build]) => ({ commit, ...build }));
  }

  get series(): { readonly purpose: BisectPurpose; readonly commit: string; readonly run: ProgressState } | undefined {
    return this.#series;
  }

  /** Attempts at the ends, in the order in which they were tried: the bad end first. */
  get ends(): readonly Count[] {
    return [...this.#ends.values()];
  }

  get search(): SearchState | undefined {
    return this.#search;
  }

  /** The share of the initial uncertainty that is gone. */
  get known(): number {
    if (!this.#search || this.#search.commits < 2) return 0;
    return Math.min(1, Math.max(0, 1 - this.#search.entropy / Math.log2(this.#search.commits)));
  }

  /** Time of builds and attempts until one commit is left, at the pace of the search so far; undefined before its first step. */
  get timeLeft(): number | undefined {
    const [first, last] = [this.#first, this.#search];
    if (!first || !last) return undefined;
    const gained = first.entropy - last.entropy;
    return gained < 0.5 ? undefined : ((last.ms - first.ms) / gained) * last.entropy;
  }
}

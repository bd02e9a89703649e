import type { WhenEvent } from '@qmpilot/core/report';

/** A checkpoint of which forks were made. */
export interface WhenPlace {
  /** In ms since the attempt began. */
  readonly at: number;
  readonly failures: number;
  readonly attempts: number;
}

/** The state of the live display of a search for the rise, computed from its events alone. Times are in ms, on the clock of the caller. */
export class WhenProgress {
  readonly #places = new Map<number, WhenPlace>();
  #begun: number | undefined;
  #forks = 0;
  #atOnce = 0;
  #rise: { readonly from: number; readonly to: number } | undefined;

  take(event: WhenEvent, now: number): void {
    this.#begun ??= now;
    switch (event.type) {
      case 'forks':
        this.#atOnce = event.forks;
        return;
      case 'fork': {
        const { at, failures, attempts } = event;
        this.#forks += 1;
        this.#places.set(at, { at, failures, attempts });
        return;
      }
      case 'rise':
        this.#rise = event;
    }
  }

  /** When the search began. */
  get begun(): number | undefined {
    return this.#begun;
  }

  /** Forks that have ended, those of earlier sessions included. */
  get forks(): number {
    return this.#forks;
  }

  /** Forks in parallel. */
  get atOnce(): number {
    return this.#atOnce;
  }

  /** Checkpoints in the order of their times. */
  get places(): readonly WhenPlace[] {
    return [...this.#places.values()].toSorted((one, other) => one.at - other.at);
  }

  /** Between which times the biggest rise is so far. */
  get rise(): { readonly from: number; readonly to: number } | undefined {
    return this.#rise;
  }
}

import { isQmpilotError } from '../../errors.js';
import type { TakeOptions, TakenVm, VmSource } from './vm-source.js';

/** Number of forks in a row that may fail to load before the snapshot is replaced. */
const TRIES_A_SOURCE = 2;
/** Renewals in a row without a single guest in between. */
const MAX_RENEWALS = 2;

/** A source of VMs that is replaced when its snapshot no longer loads, once for all waiting callers. */
export class Supply {
  readonly #make: () => Promise<VmSource>;
  readonly #onRenewal: (error: unknown) => void;
  #source: Promise<VmSource>;
  #renewals = 0;

  /** Starts with `first`; `make` makes the next sources. */
  constructor(first: VmSource, make: () => Promise<VmSource>, onRenewal: (error: unknown) => void) {
    this.#source = Promise.resolve(first);
    this.#make = make;
    this.#onRenewal = onRenewal;
  }

  /**
   * @throws {ABORTED} {NO_SPACE} {USAGE} at once
   * @throws what the last try threw, when new sources fail as well
   */
  async take(options: TakeOptions): Promise<TakenVm> {
    for (let tries = 1; ; tries += 1) {
      const current = this.#source;
      try {
        const taken = await (await current).take(options);
        this.#renewals = 0;
        return taken;
      } catch (error) {
        options.signal?.throwIfAborted();
        if (isQmpilotError(error, 'NO_SPACE') || isQmpilotError(error, 'USAGE')) throw error;
        if (tries % TRIES_A_SOURCE === 0) this.#renew(current, error);
      }
    }
  }

  async close(): Promise<void> {
    await (await this.#source.catch(() => undefined))?.close();
  }

  #renew(failed: Promise<VmSource>, error: unknown): void {
    if (this.#source !== failed) return;
    if (this.#renewals >= MAX_RENEWALS) throw error;
    this.#renewals += 1;
    this.#onRenewal(error);
    this.#source = failed
      .then(
        (source) => source.close(),
        () => {},
      )
      .then(this.#make);
    this.#source.catch(() => {});
  }
}

import { isQmpilotError } from '../errors.js';
import type { TakeOptions, TakenVm, VmSource } from './vm-source.js';

/** A fork that dies while it is loaded says little; two in a row say that the snapshot is of no use. */
const TRIES_A_SOURCE = 2;
/** How often everything starts again without a single guest in between. */
const MAX_RENEWALS = 2;

/** A source that is made again when its snapshot cannot be loaded any more, once for all waiting callers. */
export class Supply {
  readonly #make: () => Promise<VmSource>;
  readonly #onRenewal: (error: unknown) => void;
  #source: Promise<VmSource>;
  #renewals = 0;

  /** `first` is in use from the beginning; `make` gives the next ones. */
  constructor(first: VmSource, make: () => Promise<VmSource>, onRenewal: (error: unknown) => void) {
    this.#source = Promise.resolve(first);
    this.#make = make;
    this.#onRenewal = onRenewal;
  }

  /**
   * @throws {ABORTED} {NO_SPACE} {USAGE} at once
   * @throws what the last try threw, when new sources do not help either
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

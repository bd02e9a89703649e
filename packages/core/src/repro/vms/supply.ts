import { isQmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import type { Vm } from '../../vm/vm.js';
import type { PreparedVm } from './prepared-vm.js';

/** A guest at the snapshot, for one attempt. */
export interface TakenVm {
  readonly vm: Vm;
  /** Closes it. */
  release(): Promise<void>;
}

export interface TakeOptions extends WaitOptions {
  /** Called with the VM before its guest continues. */
  readonly onStart?: ((vm: Vm) => void) | undefined;
}

/** Supplies the attempts of a run with VMs. */
export interface VmSource {
  /** @throws when it cannot supply a guest; another try may succeed */
  take(options: TakeOptions): Promise<TakenVm>;
  close(): Promise<void>;
}

/** Loading a fork takes 0.1 s, and longer on a busy host. */
const TAKE_TIMEOUT = '2m';

/** Warm forks of a prepared guest, which is closed with the source. */
export function poolSource({ snapshot, close }: PreparedVm, size: number): VmSource {
  const pool = snapshot.pool({ size });
  return {
    async take(options) {
      const fork = await pool.take({ timeout: TAKE_TIMEOUT, ...options });
      return { vm: fork, release: () => fork.close() };
    },
    async close() {
      await pool.close();
      await close();
    },
  };
}

/** Restores the same VM for each attempt: for a snapshot that lives in one QEMU. */
export function restoringSource({ vm, snapshot, close }: PreparedVm): VmSource {
  return {
    async take({ onStart, ...options }) {
      onStart?.(vm);
      await vm.restore(snapshot.name, { timeout: TAKE_TIMEOUT, ...options });
      return { vm, release: async () => {} };
    },
    close,
  };
}

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

import type { WaitOptions } from '../../util/async/deadline.js';
import { monotonicMs } from '../../util/time/clock.js';
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
  /** @throws when no guest can be had from it; another try may succeed */
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

/** Returns the value of `take` and its duration in ms. */
export async function timed<T>(take: () => Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const begun = monotonicMs();
  const value = await take();
  return { value, ms: monotonicMs() - begun };
}

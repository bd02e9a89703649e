import { showsTimestamps } from '../detect/kernel-log/kernel-log-detector.js';
import { QmpilotError } from '../errors.js';
import type { GuestDescription } from '../guests/guest.js';
import { parseDuration, type Duration } from '../util/time/duration.js';
import type { BootOptions } from '../vm/start/boot-options.js';
import { boot } from '../vm/start/boot.js';
import { openPreparedSnapshot, savePreparedSnapshot, type PreparedRequest } from '../vm/start/prepared.js';
import type { TakeOptions, Vm, VmSnapshot, VmSnapshotPool } from '../vm/vm.js';
import { describeStartFailure } from './start-failure.js';

/** Second argument of `prepare`. */
export interface PrepareVmContext {
  /** Fires when `bootTimeout` is over. */
  readonly signal: AbortSignal;
}

export interface VmGuestOptions {
  /** The guest, booted once for each worker. */
  readonly guest: GuestDescription;
  /** Boot options. */
  readonly boot?: Omit<BootOptions, 'signal' | 'onProgress'> | undefined;
  /** Called once with the booted vm; every test starts from the moment at which it returns. */
  readonly prepare?: ((vm: Vm, context: PrepareVmContext) => Promise<void> | void) | undefined;
  /** For all of it: making the image where it is missing, boot, `prepare`, snapshot. Default 10 min. */
  readonly bootTimeout?: Duration | undefined;
  /**
   * A name for the state that `prepare` makes; change it with `prepare` and everything that it reads. The snapshot is then saved in
   * the cache, and other workers and later runs start from it without booting. Default: each worker boots.
   */
  readonly cache?: string | undefined;
  /** Boot the guest, in place of starting it from the boot cache or from the snapshot that `cache` names. Default false. */
  readonly fresh?: boolean | undefined;
  /** Tests reboot the guest (`vm.reboot()`), although it boots by `-kernel` as `debian()` does. Default false. */
  readonly reboots?: boolean | undefined;
  /** Forks that wait loaded and paused for the next tests; default 1. */
  readonly pool?: number | undefined;
  /** Called with lines about long steps, for users. */
  readonly onProgress?: ((message: string) => void) | undefined;
}

export const DEFAULT_BOOT_TIMEOUT = '10m';
const SNAPSHOT = 'vitest';

/** A guest at the moment that tests start from. Closing it ends every VM that was taken. */
export class VmGuest implements AsyncDisposable {
  readonly snapshot: VmSnapshot;
  /** The kernel prints timestamps before its lines; false where that is not known. */
  readonly timestamped: boolean;
  readonly #pool: VmSnapshotPool;
  readonly #taken = new Set<Vm>();
  readonly #stayWithRunner: () => void;
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(snapshot: VmSnapshot, options: { readonly pool: number; readonly timestamped: boolean }) {
    this.snapshot = snapshot;
    this.timestamped = options.timestamped;
    this.#pool = snapshot.pool({ size: options.pool });
    this.#stayWithRunner = onRunnerGone(() => void this.close());
  }

  /** Returns a further VM at that moment. Close it; it is closed with the guest at the latest. */
  async take(options: TakeOptions = {}): Promise<Vm> {
    const vm = await this.#pool.take(options);
    for (const old of this.#taken) if (old.failure) this.#taken.delete(old);
    this.#taken.add(vm);
    if (!this.#closing) return vm;
    await vm.close();
    throw new QmpilotError('CLOSED', 'the guest was closed');
  }

  /** Ends the forks that wait, and every VM that was taken. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes it: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#stayWithRunner();
    await this.#pool.close();
    await Promise.all([...this.#taken].map((vm) => vm.close()));
    await this.snapshot.close();
  }
}

/**
 * Boots, prepares and saves a guest, or opens its snapshot from the cache.
 * @throws what `boot`, `prepare` and `snapshot` throw, with all details in the message, because a test report shows little else
 */
export async function startGuest(options: VmGuestOptions): Promise<VmGuest> {
  const gone = new AbortController();
  const forget = onRunnerGone(() => gone.abort(new Error('Vitest has ended')));
  try {
    const limit = AbortSignal.timeout(parseDuration(options.bootTimeout ?? DEFAULT_BOOT_TIMEOUT, 'bootTimeout'));
    return await openOrBoot(options, AbortSignal.any([limit, gone.signal]));
  } finally {
    forget();
  }
}

async function openOrBoot(options: VmGuestOptions, signal: AbortSignal): Promise<VmGuest> {
  const pool = options.pool ?? 1;
  const request = requestOf(options, signal);
  try {
    const cached = request && options.fresh !== true ? await openPreparedSnapshot(request) : undefined;
    if (cached) return new VmGuest(cached, { pool, timestamped: false });
  } catch (error) {
    throw describeStartFailure(error, options, { signal });
  }
  return bootGuest(options, { signal, pool, request });
}

interface Start {
  readonly signal: AbortSignal;
  readonly pool: number;
  readonly request: PreparedRequest | undefined;
}

async function bootGuest(options: VmGuestOptions, { signal, pool, request }: Start): Promise<VmGuest> {
  const { fresh = false, onProgress } = options;
  let vm: Vm | undefined;
  let console: string[] = [];
  try {
    vm = await boot(options.guest, {
      cache: !fresh,
      timeout: options.bootTimeout ?? DEFAULT_BOOT_TIMEOUT,
      ...options.boot,
      signal,
      onProgress,
    });
    await options.prepare?.(vm, { signal });
    const snapshot = await vm.snapshot(SNAPSHOT, { signal, ...(options.reboots && { reboots: true }) });
    if (snapshot.strategy === 'internal') {
      throw new QmpilotError(
        'SNAPSHOT',
        `each test needs its own VM, and this guest cannot be forked: ${snapshot.reason}`,
        {
          hint: 'leave out devices and ports that only one QEMU can have',
        },
      );
    }
    if (request) await savePreparedSnapshot(snapshot, { ...request, replace: fresh });
    // The pool holds the snapshot from here on; the VM itself is no longer needed.
    return new VmGuest(snapshot, { pool, timestamped: await printsTimestamps(vm) });
  } catch (error) {
    console = vm?.console.lastLines(20) ?? [];
    throw describeStartFailure(error, options, { signal, prepared: vm !== undefined, console });
  } finally {
    await vm?.close();
  }
}

/** A guest from the boot cache has not printed its boot here: asks its kernel, if it has a shell. */
async function printsTimestamps(vm: Vm): Promise<boolean> {
  if (showsTimestamps(vm.console.lines())) return true;
  return vm.exec('cat /sys/module/printk/parameters/time', { timeout: '10s' }).then(
    ({ stdout }) => stdout.trim() === 'Y',
    () => false,
  );
}

/** Vitest's workers outlive it when a signal ends it, and continue their tests: their QEMU must not stay. */
function onRunnerGone(call: () => void): () => void {
  process.once('disconnect', call);
  return () => void process.off('disconnect', call);
}

function requestOf(
  { cache, guest, boot: bootOptions, reboots, onProgress }: VmGuestOptions,
  signal: AbortSignal,
): PreparedRequest | undefined {
  return cache === undefined
    ? undefined
    : { name: `${guest.name}-${cache}`, guest, boot: bootOptions, reboots, source: cache, signal, onProgress };
}

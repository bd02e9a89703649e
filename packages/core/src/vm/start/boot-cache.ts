import { basename, join } from 'node:path';
import { isQmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import {
  boundCache,
  DEFAULT_CACHE_BYTES,
  discard,
  ensureSavedDirectory,
  touchSaved,
} from '../../snapshot/saved/cache.js';
import { readManifest } from '../../snapshot/saved/manifest.js';
import { whyExclusive } from '../../snapshot/strategies/strategy.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration } from '../../util/time/duration.js';
import type { Vm } from '../vm.js';
import { bootCold, runToReady } from './boot-cold.js';
import type { BootOptions } from './boot-options.js';
import { lockForMaking } from './cache-lock.js';
import { nameOfSnapshot } from './prepared.js';
import { BOOT_TIMEOUT } from './ready/await-ready.js';
import { startFromSaved } from './start-from-saved.js';
import { startOwnVm } from './start-own-vm.js';

/** QEMU arguments that share a folder of the host with the guest. */
const HOST_SHARE = /^-{0,2}(?:virtfs|fsdev)\b|virtio-9p|vhost-user-fs/;
/** Part of the key: to be changed when these snapshots are made in another way. */
const SOURCE = 'boot 1';
const SNAPSHOT = 'boot';

export function isBootCacheOn(env: NodeJS.ProcessEnv = process.env): boolean {
  return env['QMPILOT_BOOT_CACHE'] === '1';
}

/** Why a guest cannot start from the boot cache, as far as its description tells; undefined when it can. */
export function whyNotCached(guest: PreparedGuest, { qemuArguments = [] }: BootOptions): string | undefined {
  if (guest.script) return 'this guest is started by its own script, whose files belong to one QEMU';
  const [shared] = guest.shares ?? [];
  if (shared) return `this guest shares a folder of the host (${shared.host})`;
  const share = qemuArguments.find((argument) => HOST_SHARE.test(argument));
  if (share !== undefined) return `this guest shares a folder of the host (${share})`;
  const exclusive = whyExclusive(qemuArguments);
  return exclusive && `a second QEMU cannot have ${exclusive} that this one was given`;
}

/**
 * Starts a guest from the snapshot that was taken after its first boot, and makes that snapshot when it is missing. Where it
 * cannot be made, `onProgress` says why and the guest boots.
 * @throws what `boot` throws
 */
export async function bootFromCache(guest: PreparedGuest, options: BootOptions): Promise<Vm> {
  const { signal, onProgress } = options;
  const parent = await ensureSavedDirectory();
  const name = await nameOfSnapshot(guest, { name: `${guest.name}-booted`, boot: options, source: SOURCE, signal });
  const path = join(parent, name);
  const found = await startSaved(path, guest, options);
  if (found) return found;
  const timeoutMs = parseDuration(options.timeout ?? BOOT_TIMEOUT, 'timeout');
  const lock = await lockForMaking(join(parent, `.${name}.lock`), { timeoutMs, signal });
  if (!lock) {
    onProgress?.('another process is still making the snapshot of this guest for the boot cache: booting');
    return bootCold(guest, options);
  }
  let done = false;
  try {
    const vm =
      (await startSaved(path, guest, options)) ??
      (await makeSnapshot(path, guest, options)) ??
      (await startSaved(path, guest, options));
    done = await isSaved(path);
    return vm ?? (await bootCold(guest, options));
  } finally {
    await lock.release(done);
  }
}

/** Undefined when there is no snapshot, or it cannot be used: then it is removed, and `onProgress` says why. */
async function startSaved(path: string, guest: PreparedGuest, options: BootOptions): Promise<Vm | undefined> {
  if (!(await isSaved(path))) return undefined;
  const begun = monotonicMs();
  try {
    const { vm, savedAt } = await startFromSaved(path, guest, options);
    await touchSaved(path);
    options.onProgress?.(`from the boot cache (saved ${savedAt}) in ${((monotonicMs() - begun) / 1000).toFixed(1)} s`);
    return vm;
  } catch (error) {
    const useless = ['SNAPSHOT', 'QEMU_START', 'QEMU_EXITED', 'SHELL_LOST'] as const;
    if (options.signal?.aborted || !useless.some((code) => isQmpilotError(error, code))) throw error;
    options.onProgress?.(`the boot cache's snapshot of this guest is removed: ${messageOf(error)}`);
    await discard(path);
    return undefined;
  }
}

/** Boots the guest and saves it. Where saving fails the booted VM is given instead, and `onProgress` says why. */
async function makeSnapshot(path: string, guest: PreparedGuest, options: BootOptions): Promise<Vm | undefined> {
  const { signal, onProgress } = options;
  const vm = await startOwnVm(guest, options);
  try {
    const [blocker] = await vm.snapshotBlockers({ signal });
    if (blocker) {
      onProgress?.(`not from the boot cache: ${blocker.reason}; ${blocker.remedy}`);
      options.onStart?.(vm);
      await runToReady(vm, guest, options);
      return vm;
    }
    onProgress?.('the boot cache has no snapshot of this guest: booting to make one');
    await runToReady(vm, guest, options);
    const failure = await save(vm, path, signal);
    if (failure === undefined) {
      await vm.close();
      return undefined;
    }
    onProgress?.(`no snapshot for the boot cache: ${failure}`);
    if (options.onStart) {
      await vm.pause({ signal });
      options.onStart(vm);
      await vm.resume({ signal });
    }
    return vm;
  } catch (error) {
    await vm.close();
    throw error;
  }
}

/** Returns the reason when it fails; the VM continues. */
async function save(vm: Vm, path: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    // A guest from the cache can reboot, as one that has just booted can.
    const snapshot = await vm.snapshot(SNAPSHOT, { signal, reboots: true });
    try {
      await snapshot.save(path, { signal });
    } catch (error) {
      await vm.removeSnapshot(SNAPSHOT);
      throw error;
    }
    await boundCache(DEFAULT_CACHE_BYTES, basename(path));
    return undefined;
  } catch (error) {
    if (signal?.aborted || vm.failure) throw error;
    return messageOf(error);
  }
}

async function isSaved(path: string): Promise<boolean> {
  return readManifest(path).then(
    () => true,
    () => false,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

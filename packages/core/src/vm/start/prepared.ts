import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { hasCopyPort, type GuestDescription, type PreparedGuest } from '../../guests/guest.js';
import { completeCommandLine } from '../../guests/kernels/kernel-command-line.js';
import { chooseAccelerator, defaultCpu, MACHINE } from '../../qemu/accelerator.js';
import { findQemu } from '../../qemu/host/binary.js';
import {
  boundCache,
  DEFAULT_CACHE_BYTES,
  discard,
  ensureSavedDirectory,
  savedDirectory,
  touchSaved,
} from '../../snapshot/saved/cache.js';
import { MANIFEST, readManifest } from '../../snapshot/saved/manifest.js';
import type { VmSnapshot } from '../vm.js';
import type { BootOptions } from './boot-options.js';
import { openSnapshot } from './open-snapshot.js';

/** The values that identify a prepared snapshot: a different one of any makes another snapshot. */
export interface PreparedRequest {
  /** The beginning of the saved snapshot's name, for users. */
  readonly name: string;
  readonly guest: GuestDescription;
  readonly boot?: BootOptions | undefined;
  /** Whether guests that start from the snapshot can reboot; see `SnapshotOptions.reboots`. */
  readonly reboots?: boolean | undefined;
  /** A hash of the code that prepares the guest, and of all it reads. */
  readonly source: string;
  readonly signal?: AbortSignal | undefined;
  /** Called with lines about long steps, for users. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** Default `cacheRoot()`. */
  readonly cacheDir?: string | undefined;
}

/**
 * Opens the snapshot that an earlier run saved of the same guest, machine, QEMU and preparation; undefined when none matches.
 * One that can no longer be used (its image was built again, ...) is removed, and `onProgress` says why.
 * @throws what preparing the guest throws
 */
export async function openPreparedSnapshot(request: PreparedRequest): Promise<VmSnapshot | undefined> {
  const name = await preparedName(request);
  if (name === undefined) return undefined;
  const path = join(savedDirectory(request.cacheDir), name);
  try {
    await readManifest(path);
  } catch {
    return undefined;
  }
  try {
    const snapshot = await openSnapshot(path, { qemu: request.boot?.qemu });
    await touchSaved(path);
    return snapshot;
  } catch (error) {
    if (!isQmpilotError(error, 'SNAPSHOT') && !isQmpilotError(error, 'NOT_FOUND')) throw error;
    request.onProgress?.(`${error.message}: removed`);
    await discard(path);
    return undefined;
  }
}

/**
 * Saves a snapshot for `openPreparedSnapshot`, and removes the least recently used ones when all together take more than `maxBytes`
 * (default 8 GiB). Another process may save the same snapshot at the same time.
 * @returns the folder, which holds `manifest.json`; undefined for a guest with a start script, whose files are its own
 * @throws what `snapshot.save` throws
 */
export async function savePreparedSnapshot(
  snapshot: VmSnapshot,
  request: PreparedRequest & { readonly maxBytes?: number; readonly replace?: boolean },
): Promise<string | undefined> {
  const name = await preparedName(request);
  if (name === undefined) return undefined;
  const path = join(await ensureSavedDirectory(request.cacheDir), name);
  if (request.replace === true) await discard(path);
  try {
    await snapshot.save(path, { signal: request.signal });
  } catch (error) {
    const there = await readManifest(path).catch(() => undefined);
    if (!there) throw error;
  }
  await boundCache(request.maxBytes ?? DEFAULT_CACHE_BYTES, name, request.cacheDir);
  return path;
}

async function preparedName(request: PreparedRequest): Promise<string | undefined> {
  const { name, source, boot, reboots, signal, onProgress, cacheDir } = request;
  const guest = await request.guest.prepare({ signal, onProgress, cacheDir });
  if (guest.script) return undefined;
  return nameOfSnapshot(guest, { name, source, boot, reboots, signal });
}

/**
 * A name with a hash of everything that changes the guest: its files, the machine, QEMU, the accelerator, and `source`.
 * @throws {USAGE} {TOOL_MISSING}
 */
export async function nameOfSnapshot(
  guest: PreparedGuest,
  {
    name,
    source,
    boot = {},
    reboots,
    signal,
  }: Pick<PreparedRequest, 'name' | 'source' | 'boot' | 'reboots' | 'signal'>,
): Promise<string> {
  if (source === '') throw new QmpilotError('USAGE', 'source: expected a hash, got an empty string');
  const binary = await findQemu(boot.qemu);
  const { accelerator } = await chooseAccelerator(
    { binary, kernel: guest.kernel?.kernel, wanted: boot.accelerator },
    { signal },
  );
  const { size, mtimeMs } = await stat(binary.path);
  const parts = {
    layout: `2 ${MANIFEST}`,
    guest: guest.key,
    kernel: guest.kernel && (await completeCommandLine(guest.kernel, accelerator, binary)),
    disks: guest.disks,
    source,
    qemu: [binary.version.text, binary.path, size, mtimeMs],
    accelerator,
    machine: MACHINE,
    cpu: defaultCpu(accelerator),
    cpus: boot.cpus ?? guest.cpus,
    memoryMiB: boot.memoryMiB ?? guest.memoryMiB,
    network: guest.network,
    display: boot.display ?? guest.display ?? 'none',
    consoles: guest.virtioConsoles,
    guestAgent: guest.guestAgent ?? false,
    copyPort: hasCopyPort(guest),
    arguments: boot.qemuArguments ?? [],
    ...(reboots && { reboots }),
  };
  const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  const readable = name
    .replaceAll(/[^\w.-]/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 60);
  return `${readable || 'snapshot'}-${key}`;
}

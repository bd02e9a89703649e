import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { AcceleratorChoice } from '../../qemu/accelerator.js';
import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';
import type { SavedPages } from '../../qemu/saved-state/saved-state.js';
import { errnoOf } from '../../util/files/host-error.js';
import { isObject } from '../../util/validation/is-object.js';
import type { OccupiedConsoles, SnapshotInfo } from '../store.js';
import type { FileIdentity } from './file-identity.js';

/** A file of the snapshot's own folder. */
export interface SavedFile {
  readonly name: string;
  readonly bytes: number;
  /** Of those that are small enough to be read whenever it is opened. */
  readonly sha256?: string;
}

/** manifest.json of a saved snapshot. It is written last: a folder that has one is complete. */
export interface SavedManifest extends SnapshotInfo {
  readonly v: 1;
  /** Of QEMU, as it names itself; nothing else loads the state. */
  readonly qemu: string;
  /** The machine type behind an alias such as `q35`. */
  readonly machineType: string;
  readonly accelerator: AcceleratorChoice;
  /** CPU flags of the host, where the guest sees them (`-cpu host`). */
  readonly hostFlags?: readonly string[];
  /** The machine that forks start. Paths are relative to this directory. */
  readonly spec: MachineSpec;
  readonly mappedRam: boolean;
  /** Pages that replace those of the RAM file, which the snapshot then shares with others. */
  readonly pages?: Omit<SavedPages, 'path'>;
  /** Where commands ran that go on in a fork. */
  readonly occupied?: OccupiedConsoles;
  /** The guest as it was described, without what JSON cannot hold. */
  readonly guest: Readonly<Record<string, unknown>> & { readonly name: string; readonly key: string };
  readonly files: readonly SavedFile[];
  /** The screen of the console, where it is known. */
  readonly screen?: { readonly base64: string; readonly columns: number; readonly rows: number };
  /** Images that the disks continue reading from, and the kernel of a guest that can reboot. */
  readonly bases: readonly FileIdentity[];
}

export const MANIFEST = 'manifest.json';

/**
 * Reads and checks the manifest of a saved snapshot.
 * @throws {NOT_FOUND} when there is none at `path`
 * @throws {SNAPSHOT} when it is damaged, or was saved by another version of qmpilot
 */
export async function readManifest(path: string): Promise<SavedManifest> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(join(path, MANIFEST), 'utf8'));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR')
      throw new QmpilotError('NOT_FOUND', `no saved snapshot at ${path}`, {
        cause,
        hint: 'create one with snapshot.save(path); an incomplete one has no manifest',
      });
    throw new QmpilotError('SNAPSHOT', `cannot read the manifest of the saved snapshot at ${path}`, {
      cause,
      hint: 'remove it and save it again',
    });
  }
  if (isManifest(value)) return value;
  throw new QmpilotError('SNAPSHOT', `the snapshot at ${path} was saved by another version of qmpilot`, {
    hint: 'remove it and save it again',
  });
}

const PLAIN_NAME = /^\w[\w.-]*$/;

/** Each value that is read must be present: anybody may have made, or damaged, the folder. */
function isManifest(value: unknown): value is SavedManifest {
  if (!isObject(value) || value['v'] !== 1) return false;
  const { accelerator, spec, guest, files, bases, hostFlags, mappedRam, pages, occupied } = value;
  return (
    ['name', 'strategy', 'reason', 'savedAt', 'qemu', 'machineType'].every(
      (field) => typeof value[field] === 'string',
    ) &&
    isObject(accelerator) &&
    typeof accelerator['accelerator'] === 'string' &&
    isObject(spec) &&
    isSpec(spec) &&
    isObject(guest) &&
    typeof guest['name'] === 'string' &&
    typeof guest['key'] === 'string' &&
    (value['nonce'] === undefined || typeof value['nonce'] === 'string') &&
    (mappedRam === undefined || typeof mappedRam === 'boolean') &&
    (pages === undefined || arePages(pages)) &&
    (occupied === undefined ||
      (isObject(occupied) && typeof occupied['shell'] === 'boolean' && areTexts(occupied['spares']))) &&
    (hostFlags === undefined || areTexts(hostFlags)) &&
    Array.isArray(files) &&
    files.every(
      (file) =>
        isObject(file) &&
        isPlainName(file['name']) &&
        typeof file['bytes'] === 'number' &&
        (file['sha256'] === undefined || typeof file['sha256'] === 'string'),
    ) &&
    Array.isArray(bases) &&
    bases.every(
      (base) =>
        isObject(base) &&
        typeof base['path'] === 'string' &&
        !base['path'].includes('\0') &&
        typeof base['sha256'] === 'string',
    )
  );
}

function isSpec({
  kernel,
  ram,
  disks,
  cpu,
  machine,
  cpus,
  memoryMiB,
  virtioConsoles,
  extra,
}: Readonly<Record<string, unknown>>): boolean {
  return (
    isKernel(kernel) &&
    isObject(ram) &&
    (ram['kind'] === 'anonymous' || ram['kind'] === 'file') &&
    typeof cpu === 'string' &&
    typeof machine === 'string' &&
    typeof cpus === 'number' &&
    typeof memoryMiB === 'number' &&
    areTexts(virtioConsoles) &&
    areTexts(extra) &&
    // Files that are written to are in the folder itself.
    Array.isArray(disks) &&
    disks.every(
      (disk) =>
        isObject(disk) &&
        typeof disk['file'] === 'string' &&
        isPlainName(disk['id']) &&
        (disk['readOnly'] === true || isPlainName(disk['file'])),
    )
  );
}

function isKernel(value: unknown): boolean {
  return (
    value === undefined ||
    (isObject(value) &&
      typeof value['kernel'] === 'string' &&
      typeof value['append'] === 'string' &&
      (value['initrd'] === undefined || typeof value['initrd'] === 'string'))
  );
}

function arePages(value: unknown): boolean {
  return isObject(value) && ['count', 'runs'].every((field) => Number.isSafeInteger(value[field]));
}

function isPlainName(value: unknown): boolean {
  return typeof value === 'string' && PLAIN_NAME.test(value);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

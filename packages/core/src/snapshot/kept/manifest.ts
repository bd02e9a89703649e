import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { MachineSpec } from '../../qemu/command-line.js';
import type { AcceleratorChoice } from '../../qemu/accelerator.js';
import type { SnapshotInfo } from '../store.js';
import type { FileIdentity } from './file-identity.js';

/** A file of the snapshot's own folder. */
export interface KeptFile {
  readonly name: string;
  readonly bytes: number;
}

/** manifest.json of a kept snapshot: written last, so that a folder which has one is whole. */
export interface KeptManifest extends SnapshotInfo {
  readonly v: 1;
  /** Of QEMU, as it names itself; nothing else loads the state. */
  readonly qemu: string;
  /** The machine type behind an alias such as `q35`. */
  readonly machineType: string;
  readonly accelerator: AcceleratorChoice;
  /** CPU flags of the host, where the guest sees them (`-cpu host`). */
  readonly hostFlags?: readonly string[];
  /** What forks are started from. Paths of files are names in this folder. */
  readonly spec: MachineSpec;
  readonly mappedRam: boolean;
  /** The guest as it was described, without what JSON cannot hold. */
  readonly guest: Readonly<Record<string, unknown>> & { readonly name: string; readonly key: string };
  readonly files: readonly KeptFile[];
  /** What the console showed, where it was known. */
  readonly screen?: { readonly base64: string; readonly columns: number; readonly rows: number };
  /** Images that the disks go on reading from. */
  readonly bases: readonly FileIdentity[];
}

export const MANIFEST = 'manifest.json';

/**
 * @throws {SNAPSHOT} when the folder is no kept snapshot
 */
export async function readManifest(path: string): Promise<KeptManifest> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(join(path, MANIFEST), 'utf8'));
  } catch (cause) {
    throw new QmpilotError('SNAPSHOT', `there is no kept snapshot at ${path}`, { cause, hint: 'make one by snapshot.keep(path); one that was interrupted is not there' });
  }
  if (isManifest(value)) return value;
  throw new QmpilotError('SNAPSHOT', `the snapshot at ${path} was kept by another version of qmpilot`, { hint: 'remove it and keep it anew' });
}

function isManifest(value: unknown): value is KeptManifest {
  if (typeof value !== 'object' || value === null) return false;
  return 'v' in value && value.v === 1 && 'spec' in value && 'files' in value && Array.isArray(value.files) && 'bases' in value && 'qemu' in value;
}

import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError, type QmpilotError } from '../../errors.js';
import type { RamSpec } from '../../qemu/command-line/machine-spec.js';
import { chooseRamDirectory } from '../../qemu/host/directories.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import type { SnapshotContext } from '../context.js';

/** A file for RAM that only its machine, and later the snapshot made of it, uses. */
export async function newRamFile(context: SnapshotContext, memoryMiB: number): Promise<string> {
  const parent = await chooseRamDirectory(context.directories, memoryMiB * 2 ** 20);
  const path = join(await mkdtemp(join(parent, 'ram-')), 'ram');
  // QEMU would make it with the mode that the umask leaves; one that is there and empty it takes, and gives it its size.
  await writeFile(path, '', { mode: 0o600 });
  return path;
}

/** Returns why there is no room for a RAM file; undefined when there is. */
export async function whyNoRamFile(
  { directories }: SnapshotContext,
  memoryMiB: number,
): Promise<QmpilotError | undefined> {
  try {
    await chooseRamDirectory(directories, memoryMiB * 2 ** 20);
    return undefined;
  } catch (error) {
    if (!isQmpilotError(error, 'NO_SPACE')) throw error;
    return error;
  }
}

/** Returns RAM in a shared file, which templates need, or in QEMU's memory, with a message, when there is no room for the file. */
export async function planRam(
  context: SnapshotContext,
  memoryMiB: number,
  tell: (message: string) => void,
): Promise<RamSpec> {
  try {
    return { kind: 'file', path: await newRamFile(context, memoryMiB), share: true };
  } catch (error) {
    if (!isQmpilotError(error, 'NO_SPACE') || context.directories.memoryWasNamed) throw error;
    tell(`${error.message}: snapshots of this VM will hold all of its RAM, and restores take longer`);
    return { kind: 'anonymous' };
  }
}

export async function removeRamFile(path: string): Promise<void> {
  await removeDirectory(join(path, '..'));
}

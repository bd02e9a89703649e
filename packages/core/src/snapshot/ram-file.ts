import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseRamDirectory } from '../qemu/host-directory.js';
import type { SnapshotContext } from './context.js';

/** A file for RAM that only its machine, and later the snapshot made of it, uses. */
export async function newRamFile(context: SnapshotContext, memoryMiB: number): Promise<string> {
  const parent = await chooseRamDirectory(context.directories, memoryMiB * 2 ** 20);
  return join(await mkdtemp(join(parent, 'ram-')), 'ram');
}

export async function removeRamFile(path: string): Promise<void> {
  await rm(join(path, '..'), { recursive: true, force: true });
}

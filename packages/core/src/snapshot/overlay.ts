import { execFile } from 'node:child_process';
import { chmod, copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { QmpilotError } from '../errors.js';
import { which } from '../qemu/binary.js';
import type { DiskSpec } from '../qemu/command-line.js';

const run = promisify(execFile);

/**
 * An empty qcow2 overlay at `path`: what is written goes there, what was not is read from `base`.
 * @throws {TOOL_MISSING} without qemu-img
 * @throws {NO_SPACE} when it cannot be written
 */
export async function createOverlay(base: { readonly file: string; readonly format: string }, path: string): Promise<void> {
  const tool = await which('qemu-img');
  if (!tool) {
    throw new QmpilotError('TOOL_MISSING', 'qemu-img is not on PATH', { hint: 'on Debian: apt-get install qemu-utils' });
  }
  try {
    await run(tool, ['create', '-q', '-f', 'qcow2', '-F', base.format, '-b', base.file, path]);
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new QmpilotError(/space|quota/i.test(said) ? 'NO_SPACE' : 'USAGE', `no overlay of ${base.file} could be made: ${said}`, {
      cause,
      hint: 'is the disk image there, of the format named, and is there room for overlays in TMPDIR?',
    });
  }
}

/** Overlays of `disks` in `directory`, one each. */
export async function overlayDisks(disks: readonly DiskSpec[], directory: string): Promise<DiskSpec[]> {
  return Promise.all(
    disks.map(async (disk): Promise<DiskSpec> => {
      if (disk.readOnly) return disk;
      const file = join(directory, `${disk.id}.qcow2`);
      await createOverlay(disk, file);
      return overlayOf(disk, file);
    }),
  );
}

function overlayOf({ id }: DiskSpec, file: string): DiskSpec {
  return { id, file, format: 'qcow2' };
}

/** A disk as it stood when the snapshot was made, and an empty overlay of it to be copied for each fork. */
export interface FrozenDisk {
  readonly spec: DiskSpec;
  readonly pristine: string | undefined;
}

/** Moves the files of a machine that has ended into the snapshot's folder; nothing writes to them from then on. */
export async function freezeDisks(disks: readonly DiskSpec[], directory: string): Promise<FrozenDisk[]> {
  return Promise.all(
    disks.map(async (spec): Promise<FrozenDisk> => {
      if (spec.readOnly) return { spec, pristine: undefined };
      const file = spec.foreign ? spec.file : join(directory, `${spec.id}.qcow2`);
      if (!spec.foreign) {
        await rename(spec.file, file);
        await chmod(file, 0o400);
      }
      const frozen = { ...spec, file };
      const pristine = join(directory, `${spec.id}.pristine.qcow2`);
      await createOverlay(frozen, pristine);
      return { spec: frozen, pristine };
    }),
  );
}

/** A fork's own disks: copying an empty overlay is much faster than a run of qemu-img. */
export async function forkDisks(disks: readonly FrozenDisk[], directory: string): Promise<DiskSpec[]> {
  return Promise.all(
    disks.map(async ({ spec, pristine }): Promise<DiskSpec> => {
      if (pristine === undefined) return spec;
      const file = join(directory, `${spec.id}.qcow2`);
      await copyFile(pristine, file);
      return overlayOf(spec, file);
    }),
  );
}

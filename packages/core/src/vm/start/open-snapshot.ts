import * as v from 'valibot';
import { findQemu } from '../../qemu/host/binary.js';
import { acquireHostDirectories, releaseHostDirectories } from '../../qemu/host/directories.js';
import { openSaved } from '../../snapshot/saved/open.js';
import { infoOf } from '../../snapshot/store.js';
import { PATH } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { createFamily } from '../create-family.js';
import { guestOf } from '../snapshots/guest-record.js';
import { Snapshot } from '../snapshots/snapshot.js';
import type { VmSnapshot } from '../vm.js';

/** How a saved snapshot is opened. */
export interface OpenSnapshotOptions {
  /** QEMU's binary; default `$QMPILOT_QEMU`, else `qemu-system-x86_64` on PATH. It has to be the one that saved. */
  readonly qemu?: string | undefined;
}

const OPEN_OPTIONS = v.strictObject({ qemu: v.optional(PATH) } satisfies Record<
  keyof OpenSnapshotOptions,
  v.GenericSchema
>);

/**
 * A snapshot that `snapshot.save(path)` wrote: makes forks and pools without booting. It has to be closed; its forks go on.
 * @throws {NOT_FOUND} when there is none at `path`
 * @throws {SNAPSHOT} when it is incomplete, an image it reads from has changed, or another QEMU or host saved it
 * @throws {TOOL_MISSING} {NO_SPACE}
 */
export async function openSnapshot(path: string, options: OpenSnapshotOptions = {}): Promise<VmSnapshot> {
  validate(PATH, path, 'openSnapshot: path');
  validate(OPEN_OPTIONS, options, 'openSnapshot: options');
  const binary = await findQemu(options.qemu);
  const context = { binary, directories: await acquireHostDirectories() };
  try {
    const { manifest, base } = await openSaved(path, context);
    const { accelerator, screen } = manifest;
    const family = createFamily({
      guest: guestOf(manifest.guest),
      context,
      accelerator,
    });
    const info = infoOf(manifest);
    family.snapshots.add({
      ...info,
      saved: base,
      screen: screen && { ...screen, bytes: Buffer.from(screen.base64, 'base64') },
    });
    return new Snapshot(family, info, {
      close: async () => {
        await family.snapshots.release();
        await releaseHostDirectories();
      },
    });
  } catch (error) {
    await releaseHostDirectories();
    throw error;
  }
}

import { findQemu } from '../../qemu/host/binary.js';
import { acquireHostDirectories, releaseHostDirectories } from '../../qemu/host/directories.js';
import { openSaved } from '../../snapshot/saved/open.js';
import { infoOf } from '../../snapshot/store.js';
import { createFamily } from '../create-family.js';
import { guestOf } from '../snapshots/guest-record.js';
import { Snapshot } from '../snapshots/snapshot.js';
import type { VmSnapshot } from '../vm.js';

/** How a saved snapshot is opened. */
export interface OpenSnapshotOptions {
  /** QEMU's binary; default `$QMPILOT_QEMU`, else `qemu-system-x86_64` on PATH. It has to be the one that saved. */
  readonly qemu?: string | undefined;
}

/** Opens a saved snapshot whose path and options were checked. */
export async function openSavedSnapshot(path: string, options: OpenSnapshotOptions): Promise<VmSnapshot> {
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
      occupied: manifest.occupied,
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

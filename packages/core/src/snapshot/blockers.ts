import { QmpilotError } from '../errors.js';

/** A reason why a VM cannot be saved, and how to remove it. */
export interface SnapshotBlocker {
  /** In QEMU's words where it is QEMU that refuses. */
  readonly reason: string;
  readonly remedy: string;
}

/** QEMU's reasons (`query-migrate`: `blocked-reasons`) with the remedy. */
interface Remedy {
  readonly reason: RegExp;
  readonly hint: string;
}

const NIXOS =
  'in a NixOS VM import nixosModules.qmpilot and set qmpilot.snapshot.enable = true, which is virtualisation.useNixStoreImage = true, ' +
  'virtualisation.mountHostNixStore = false and virtualisation.sharedDirectories = lib.mkForce { }';

const REMEDIES: readonly Remedy[] = [
  {
    reason: /using mount_tag 'qmpilotshare\d+'/,
    hint: 'unmount the shared folder in the guest, by umount and its path, and mount it again after the snapshot: mount with the same path',
  },
  // QEMU, hw/9pfs/9p.c: the blocker is there while a guest has the share mounted.
  {
    reason: /VirtFS export path '.*' is mounted in the guest using mount_tag '/,
    hint: `unmount the 9p share in the guest (a store that the guest runs from cannot be), or build the guest without it: ${NIXOS}`,
  },
  { reason: /vhost-user|virtiofs|vhost-fs/i, hint: `leave the virtiofs share out of the guest: ${NIXOS}` },
  { reason: /vfio|passthrough/i, hint: 'a device of the host cannot be saved: leave it out of the guest' },
];

/** Returns how to remove the reasons that block a save. */
export function remedyFor(reasons: readonly string[]): string {
  const known = REMEDIES.find(({ reason }) => reasons.some((text) => reason.test(text)));
  return known?.hint ?? 'leave out of the guest what QEMU names';
}

/** Creates the error for a VM that cannot be saved, with the reasons and their remedy. */
export function blockedError(reasons: readonly string[], cause?: unknown): QmpilotError {
  return new QmpilotError('SNAPSHOT', `this VM cannot be saved: ${reasons.join('; ')}`, {
    cause,
    hint: remedyFor(reasons),
  });
}

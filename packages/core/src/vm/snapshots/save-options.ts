import { QmpilotError } from '../../errors.js';
import type { OccupiedConsoles } from '../../snapshot/store.js';
import type { SnapshotOptions } from './options.js';

/** How a snapshot is saved. */
export interface SaveOptions extends SnapshotOptions {
  /** Saves the changed pages of a fork or nothing, and asks the guest for nothing. Default false. */
  readonly changedOnly?: boolean;
}

/** What snapshots need of the rest of a VM. */
export interface SnapshotHooks {
  /** Runs before a restore replaces the guest. */
  readonly onLeave: () => Promise<void>;
  /** The consoles on which commands run now. */
  readonly occupied: () => OccupiedConsoles;
}

/** A command may begin or end while a snapshot is taken. */
export function eitherOf(one: OccupiedConsoles, other: OccupiedConsoles): OccupiedConsoles {
  return { shell: one.shell || other.shell, spares: [...new Set([...one.spares, ...other.spares])] };
}

/** The error of `changedOnly`. */
export function changedPagesAreNotAll(reason: string): QmpilotError {
  return new QmpilotError('SNAPSHOT', `the changed memory of this VM cannot be saved alone: ${reason}`, {
    hint: 'docs/snapshots.md lists which VMs can be saved so',
  });
}

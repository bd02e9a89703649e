import type { PreparedGuest } from '../guest.js';

/** A setup that needs a running guest. `vm/setup/` makes it: this folder boots nothing. */
export interface SetupStep {
  readonly name: string;
  /** Stands, with the name, for what it does. */
  readonly source: string;
  /**
   * Boots the guest, runs the setup, powers off, and writes what changed on the root disk to `disk`.
   * @returns the output of `lastCommand`
   */
  readonly run: (task: SetupTask) => Promise<string>;
}

export interface SetupTask {
  /** The image below as a guest. */
  readonly guest: PreparedGuest;
  /** Path of a new qcow2 image over the root disk of `guest`. */
  readonly disk: string;
  /** Runs in the guest after the setup. */
  readonly lastCommand: string;
  readonly onProgress: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

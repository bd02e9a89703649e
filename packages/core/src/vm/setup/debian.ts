import { debianGuest, type DebianGuestOptions } from '../../guests/debian/debian.js';
import type { GuestDescription } from '../../guests/guest.js';
import { validate } from '../../util/validation/validate.js';
import { SETUP_FUNCTION, type SetupFunction } from './setup-function.js';

/** How the Debian guest is built and started. */
export interface DebianOptions extends Omit<DebianGuestOptions, 'setup'> {
  /**
   * Runs once, while the image is made, when packages and files are in place: the path of a script, which runs as root in the file
   * system of the image, at the host's speed and with the host's network, without services; or a function, which gets a booted VM.
   */
  readonly setup?: string | SetupFunction | undefined;
}

/**
 * Debian with systemd, version 12 unless `suite` says otherwise: root is logged in on ttyS0 and tty1, root shells answer on hvc0 and
 * hvc1, also while a poweroff stalls; tmux, gdb, Node 22.4.1 and npm 10.7.0 are there, and in /root/project what `npm ci` installs
 * offline. The image is built when it is first used, and kept.
 * @throws {USAGE} for an unknown or invalid option
 */
export function debian(options: DebianOptions = {}): GuestDescription {
  // What is no object, from JavaScript, is for `debianGuest` to refuse.
  const setup = options?.setup;
  if (typeof setup !== 'object') return debianGuest(options as DebianGuestOptions);
  validate(SETUP_FUNCTION, setup, 'debian: options.setup');
  const { cpus, memoryMiB } = options;
  return debianGuest(
    { ...options, setup: undefined },
    {
      name: setup.name,
      source: String(setup.run),
      run: async (task) => {
        const { runSetup } = await import('./run-setup.js');
        return runSetup(setup, { cpus, memoryMiB }, task);
      },
    },
  );
}

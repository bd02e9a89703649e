import { AbortedError } from '../../errors.js';
import { checkGuest, type GuestDescription } from '../../guests/guest.js';
import { validate } from '../../util/validation/validate.js';
import type { Vm } from '../vm.js';
import { BOOT_OPTIONS, type BootOptions } from './boot-options.js';

/**
 * Boots a guest and waits until its shells answer. The image is made first where it is missing.
 * @throws {USAGE} for an unknown or invalid option, before QEMU starts
 * @throws {TOOL_MISSING} {GUEST_BUILD} {NO_SPACE} {QEMU_START}
 * @throws {TIMEOUT} when the guest does not answer within `timeout` (default 3 min, counted from QEMU's start)
 * @throws {QEMU_EXITED} {SHELL_LOST} when it fails while booting, with its last console lines
 * @throws {ABORTED}
 */
export async function boot(description: GuestDescription, options: BootOptions = {}): Promise<Vm> {
  checkGuest(description, 'boot: guest');
  validate(BOOT_OPTIONS, options, 'boot: options');
  const { signal, onProgress } = options;
  if (signal?.aborted) throw new AbortedError(`the boot of ${description.name}`, signal.reason);
  const guest = await description.prepare({ signal, onProgress });
  // Loaded here: most of the library, which a program that only describes guests or scenarios does not need.
  const { bootPrepared } = await import('./boot-prepared.js');
  return bootPrepared(guest, options);
}

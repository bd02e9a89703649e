import * as v from 'valibot';
import { AbortedError } from '../../errors.js';
import { PATH, WAIT } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { Vm } from '../vm.js';
import type { AttachOptions } from './attach-machine.js';

const ATTACH_OPTIONS = v.strictObject({
  ...WAIT,
  qmp: PATH,
  console: v.optional(PATH),
  shell: v.optional(PATH),
  samplingShell: v.optional(PATH),
  name: v.optional(v.string()),
} satisfies Record<keyof AttachOptions, v.GenericSchema>);

/**
 * Takes hold of a QEMU that somebody else started (libvirt, a script). What needs no other QEMU works: QMP, console, shells,
 * detectors, SysRq, poweroff, and snapshots of the strategy `internal`. Templates and forks do not, and say so. The guest is left
 * as it is, running or paused; closing the VM detaches from it, and QEMU keeps running.
 * @throws {USAGE} for a path that cannot be a socket's
 * @throws {QMP_LINK} when nothing listens there, this user may not, or it is not QMP
 * @throws {CONSOLE_CLOSED} when a console or shell is no socket, or another client holds it
 * @throws {TIMEOUT} when QEMU does not greet within `timeout` (default 10 s): another client may hold the monitor
 * @throws {ABORTED}
 */
export async function attach(options: AttachOptions): Promise<Vm> {
  validate(ATTACH_OPTIONS, options, 'attach: options');
  const { signal } = options;
  if (signal?.aborted) throw new AbortedError(`the connection to ${options.qmp}`, signal.reason);
  const { attachMachine } = await import('./attach-machine.js');
  return attachMachine(options);
}

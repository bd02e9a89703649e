import { isQmpilotError } from '../../errors.js';
import type { SerialLogin } from '../../guests/guest.js';
import type { WaitOptions } from '../../util/deadline.js';
import type { Vm } from '../vm.js';

/** A guest whose own units start the shells has them long before its login prompt. */
const PATIENCE_MS = 3000;

/** As the units of the module and of the Debian guest: a shutdown does not stop them. */
const PROPERTIES =
  'DefaultDependencies=no Slice=system.slice StandardInput=tty StandardOutput=tty StandardError=tty TTYReset=yes KillMode=process Restart=always RestartSec=100ms IgnoreSIGPIPE=no OOMScoreAdjust=-1000';

/** One line for a root bash on the serial console; the blank in front keeps it out of its history. */
const COMMAND =
  ` modprobe -q virtio_console; for c in hvc0 hvc1; do systemd-run -q --collect --unit=qmpilot-shell-$c ${PROPERTIES.split(
    ' ',
  )
    .map((one) => `-p ${one}`)
    .join(' ')}` +
  ` -p TTYPath=/dev/$c --setenv=TERM=dumb --setenv=HOME=/root "--setenv=PATH=$PATH" "$BASH" --norc --noprofile; done; clear`;

/**
 * In a guest that knows nothing of us: waits for root's prompt on the serial console, and types there what starts the
 * console shells, unless they answer already.
 */
export async function startShells(vm: Vm, login: SerialLogin, wait: WaitOptions): Promise<void> {
  await vm.console.expect(login.prompt, { ...wait, from: 0 });
  if (!vm.hasShell) return;
  try {
    await vm.samplingShell.ready({ timeout: PATIENCE_MS, signal: wait.signal });
  } catch (error) {
    if (!isQmpilotError(error, 'SHELL_LOST')) throw error;
    await vm.console.type(`${COMMAND}\n`, wait);
    await vm.console.expect(login.prompt, wait);
  }
}

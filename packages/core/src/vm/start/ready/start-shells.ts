import { isQmpilotError, QmpilotError } from '../../../errors.js';
import type { SerialLogin } from '../../../guests/guest.js';
import type { WaitOptions } from '../../../util/async/deadline.js';
import type { Vm } from '../../vm.js';
import { awaitLoginPrompt } from './await-prompt.js';

/** A guest whose own units start the shells has them long before its login prompt. */
const START_TIMEOUT_MS = 3000;

/** As in the units of the NixOS module and of the Debian guest: a shutdown does not stop them. */
const PROPERTIES =
  'DefaultDependencies=no Slice=system.slice StandardInput=tty StandardOutput=tty StandardError=tty TTYReset=yes KillMode=process Restart=always RestartSec=100ms IgnoreSIGPIPE=no OOMScoreAdjust=-1000';

/**
 * One line for a root bash on the serial console; the leading blank keeps it out of the history. systemd's getty generator starts
 * a login on hvc0, which would share the terminal with the shell.
 */
const COMMAND =
  ` modprobe -q virtio_console; for c in hvc0 hvc1; do systemctl -q stop serial-getty@$c.service; systemd-run -q --collect --unit=qmpilot-shell-$c ${PROPERTIES.split(
    ' ',
  )
    .map((one) => `-p ${one}`)
    .join(' ')}` +
  ` -p TTYPath=/dev/$c --setenv=TERM=dumb --setenv=HOME=/root "--setenv=PATH=$PATH" "$BASH" --norc --noprofile; done; clear`;

/**
 * Starts the console shells of a guest that has no units for them: waits for root's prompt on the serial console and types a
 * command there, unless they answer already.
 */
export async function startShells(vm: Vm, login: SerialLogin, wait: WaitOptions): Promise<void> {
  const loggedIn = await Promise.race([
    vm.console.expect(login.prompt, { ...wait, from: 0 }).then(() => true),
    awaitLoginPrompt(vm.console, wait).then(() => false),
  ]);
  if (!vm.hasShell) return;
  try {
    await vm.samplingShell.ready({ patience: START_TIMEOUT_MS, signal: wait.signal });
  } catch (error) {
    if (!isQmpilotError(error, 'SHELL_LOST')) throw error;
    if (!loggedIn) throw nobodyLoggedIn(vm, error);
    await vm.console.type(`${COMMAND}\n`, wait);
    await vm.console.expect(login.prompt, wait);
  }
}

function nobodyLoggedIn(vm: Vm, cause: unknown): QmpilotError {
  return new QmpilotError('SHELL_LOST', 'the serial console asks for a login, and no console shell answers', {
    cause,
    evidence: { console: vm.console.lastLines(20) },
    hint: "import nixosModules.qmpilot, log root in automatically (services.getty.autologinUser), or pass shells: 'none'",
  });
}

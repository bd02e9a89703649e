import type { ShutdownDetector } from '../../detect/shutdown/shutdown-detector.js';
import type { ShutdownWish } from '../../detect/shutdown/verdict.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { Shell } from '../../shell/shell.js';
import { pause } from '../../util/async/deadline.js';
import type { VmContext } from '../context.js';

export interface ShutdownRequest {
  readonly wanted: ShutdownWish;
  readonly via?: 'shell' | 'acpi' | 'none' | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The clock of the detector, in ms. */
  readonly now: () => number;
}

/** A shell may end because the guest goes down: so long for the first sign of that. */
const SIGN_TIMEOUT_MS = 3000;
const SIGN_POLL_MS = 100;
const MAX_TRIES = 2;

/**
 * Asks the guest to power off, reboot or halt. What it answers goes to the detector.
 * @throws {USAGE} when it cannot be asked that way
 * @throws {SHELL_LOST} when the request has not reached it: nothing can be said about its shutdown then
 */
export async function requestShutdown(
  context: VmContext,
  detector: ShutdownDetector,
  request: ShutdownRequest,
): Promise<void> {
  const { samplingShell: shell, machine } = context;
  const { wanted, via = shell ? 'shell' : 'acpi', signal } = request;
  if (wanted === 'reboot' && via !== 'none') assertCanReboot(context);
  if (via === 'acpi') {
    if (wanted !== 'poweroff')
      throw new QmpilotError('USAGE', `the power button cannot request a ${wanted}`, {
        hint: "use via: 'shell', or type the command and use via: 'none'",
      });
    await machine.qmp.execute('system_powerdown', undefined, { signal });
  } else if (via === 'shell') {
    if (!shell)
      throw new QmpilotError('USAGE', `this guest has no console shell to request a ${wanted}`, {
        hint: "use via: 'acpi'",
      });
    await requestByShell(context, shell, detector, request);
  }
}

/** QEMU reads a kernel of `-kernel` again at each reset: a machine that loaded a snapshot has none, unless the snapshot says so. */
function assertCanReboot({ machine, family }: VmContext): void {
  if (machine.origin === undefined || !family.guest.kernel || machine.spec.reboots === true) return;
  throw new QmpilotError(
    'USAGE',
    `the guest ${family.guest.name} cannot come up again after a reboot: its snapshot has no kernel`,
    {
      hint: 'make the snapshot with `reboots: true`: vm.snapshot(name, { reboots: true }), or `reboots` of the scenario or of createVmTest',
    },
  );
}

async function requestByShell(
  context: VmContext,
  shell: Shell,
  detector: ShutdownDetector,
  request: ShutdownRequest,
): Promise<void> {
  const { wanted, signal } = request;
  for (let tries = 1; ; tries += 1) {
    try {
      const { exitCode, stderr, stdout } = await shell.exec(commandFor(wanted), { signal, patience: '30s' });
      if (exitCode !== 0) detector.refused(stderr.trim() || stdout.trim() || `exit code ${exitCode}`);
      return;
    } catch (error) {
      // QEMU has ended before the command could.
      if (isQmpilotError(error, 'CONSOLE_CLOSED')) return;
      if (isQmpilotError(error, 'TIMEOUT')) return detector.refused(error.message);
      if (!isQmpilotError(error, 'SHELL_LOST')) throw error;
      if (await isGoingDown(context, detector, request)) return;
      if (tries < MAX_TRIES) continue;
      throw new QmpilotError('SHELL_LOST', `the ${wanted} could not be requested: ${error.message}`, {
        cause: error,
        evidence: error.evidence,
        hint: "the request did not reach the guest; press the power button instead (via: 'acpi'), or see vm.diagnose()",
      });
    }
  }
}

async function isGoingDown(
  { slot }: VmContext,
  detector: ShutdownDetector,
  { now, signal }: ShutdownRequest,
): Promise<boolean> {
  const until = now() + SIGN_TIMEOUT_MS;
  for (;;) {
    const { phase, end } = detector.report(now());
    if (phase !== 'requested' || end !== 'running' || slot.machine.process.exit) return true;
    if (now() >= until) return false;
    await pause(SIGN_POLL_MS, signal);
  }
}

/** systemd is asked without waiting for it; busybox and sysvinit have a command of the same name. */
function commandFor(wanted: ShutdownWish): string {
  return `if [ -d /run/systemd/system ]; then systemctl --no-block ${wanted}; else ${wanted}; fi`;
}

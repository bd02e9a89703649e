import { panicOf } from '../../../detect/kernel-log/kernel-log-finding.js';
import { describeBoot, formatBootProgress } from '../../../detect/life/boot-stage.js';
import { isQmpilotError, QmpilotError } from '../../../errors.js';
import type { PreparedGuest, SerialLogin } from '../../../guests/guest.js';
import { pause, type WaitOptions } from '../../../util/async/deadline.js';
import { withinLimit } from '../../../util/async/limit.js';
import { parseDuration } from '../../../util/time/duration.js';
import type { Vm } from '../../vm.js';
import type { BootOptions } from '../boot-options.js';
import { awaitLoginPrompt, awaitPrompt } from './await-prompt.js';
import { mountShares } from './mount-shares.js';
import { startShells } from './start-shells.js';

/** TCG on a busy host with two cores takes 20 s. */
export const BOOT_TIMEOUT = '3m';

/** Waits until the console shell answers and the serial console shows its prompt, as far as the guest has them. */
export async function awaitReady(vm: Vm, guest: PreparedGuest, options: BootOptions): Promise<void> {
  const failed = new AbortController();
  const timeout = parseDuration(options.timeout ?? BOOT_TIMEOUT, 'timeout');
  const either = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const watch = vm.watch({ hungTask: false });
  watch.onFinding((finding) => {
    const panic = panicOf(finding);
    if (panic === undefined) return;
    failed.abort(
      new QmpilotError('SHELL_LOST', `the guest's kernel panicked during the boot: ${panic}`, {
        evidence: { console: vm.console.lastLines(40) },
        hint: 'the panic message says what is missing: often a root disk, or a driver that is not in the initrd',
      }),
    );
  });
  void vm.ended.then((error) => failed.abort(error));
  try {
    await withinLimit(
      { awaited: `the guest ${guest.name}`, timeout: options.timeout, patience: BOOT_TIMEOUT, signal: either },
      async (signal) => {
        // The limit of the boot ends each wait: that of a shell would say that the shell was lost.
        const wait = { signal, patience: 2 * timeout };
        if (guest.script?.startShells && guest.login) await startShells(vm, guest.login, wait);
        await Promise.all([
          guest.shell === undefined ? undefined : vm.shell.ready(wait),
          guest.samplingShell === undefined ? undefined : vm.samplingShell.ready(wait),
          guest.login && awaitConsole(vm, guest, guest.login, wait),
        ]);
        await mountShares(vm, guest.shares ?? [], wait);
      },
    );
  } catch (error) {
    // A console ends a moment before its QEMU has.
    if (isQmpilotError(error, 'CONSOLE_CLOSED')) await Promise.race([vm.ended, pause(2000)]);
    const reason: unknown = failed.signal.reason;
    if (failed.signal.aborted && reason instanceof QmpilotError) throw reason;
    if (!(error instanceof QmpilotError) || options.signal?.aborted) throw error;
    throw await notUp(vm, guest, timeout, error);
  } finally {
    await watch.stop();
    failed.abort();
  }
}

/** A guest that is started by its own script may log nobody in: its console then ends at the login prompt. */
async function awaitConsole(vm: Vm, guest: PreparedGuest, login: SerialLogin, wait: WaitOptions): Promise<void> {
  const prompt = awaitPrompt(vm.console, login.prompt, wait);
  await (guest.script ? Promise.race([prompt, awaitLoginPrompt(vm.console, wait)]) : prompt);
}

async function notUp(vm: Vm, guest: PreparedGuest, timeout: number, cause: QmpilotError): Promise<QmpilotError> {
  const progress = describeBoot(vm.console.lastLines(2000));
  const diagnosis = await vm.diagnose({ shellTimeout: '1s' });
  const lines = vm.console.lastLines(20);
  return new QmpilotError(
    cause.code,
    `the guest ${guest.name} did not come up within ${timeout / 1000} s: ${formatBootProgress(progress)}; ${diagnosis.reason} (${cause.message})`,
    {
      cause,
      evidence: { console: lines, stage: progress.stage, state: diagnosis.state, signs: diagnosis.signs },
      hint:
        diagnosis.state === 'alive' || diagnosis.state === 'working'
          ? 'it is still at work: a slow host needs a longer timeout'
          : 'look at its console below',
    },
  );
}

import { panicOf } from '../../detect/kernel-log/kernel-log-finding.js';
import { describeBoot, formatBootProgress } from '../../detect/life/boot-stage.js';
import { QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration } from '../../util/time/duration.js';
import type { VmContext } from '../context.js';
import { awaitPrompt } from '../start/ready/await-prompt.js';
import { powerOff, type PoweroffReport } from './poweroff.js';

const DEFAULT_TIMEOUT = '5m';
const CODE = { panicked: 'SHELL_LOST', killed: 'QEMU_EXITED' } as const;

/** Asks the guest to reboot and waits until its prompt and its shells are there again. */
export async function reboot(context: VmContext, restored: AbortSignal, options: WaitOptions): Promise<PoweroffReport> {
  const timeout = parseDuration(options.timeout ?? DEFAULT_TIMEOUT, 'timeout');
  const begun = monotonicMs();
  let from = 0;
  const forget = context.onEvent((event) => {
    if (event.type === 'qmp' && event.event === 'RESET') from = context.console.position;
  });
  try {
    const report = await powerOff(context, restored, { wanted: 'reboot', timeout, signal: options.signal });
    if (report.end !== 'rebooted')
      throw new QmpilotError(
        report.outcome === 'panicked' || report.outcome === 'killed' ? CODE[report.outcome] : 'TIMEOUT',
        `the guest ${context.family.guest.name} did not reboot: ${report.reason}`,
        { evidence: { report }, hint: 'formatShutdown(error.evidence.report) shows how far it got' },
      );
    await awaitBoot(context, restored, from, {
      timeout: Math.max(1, timeout - (monotonicMs() - begun)),
      signal: options.signal,
    });
    return report;
  } finally {
    forget();
  }
}

/**
 * Waits for the prompt, after `from`, and the shells of a guest that boots again.
 * @throws {SHELL_LOST} when the kernel panics, and what `ready` throws
 */
export async function awaitBoot(
  context: VmContext,
  restored: AbortSignal,
  from: number,
  options: WaitOptions,
): Promise<void> {
  const { slot, console, family } = context;
  const failed = new AbortController();
  const signals = [failed.signal, restored, ...(options.signal ? [options.signal] : [])];
  const wait = { timeout: options.timeout, signal: AbortSignal.any(signals) };
  const forget = context.kernelLog.onFinding((finding) => {
    const panic = panicOf(finding);
    if (panic === undefined) return;
    failed.abort(
      new QmpilotError('SHELL_LOST', `the guest's kernel panicked while it rebooted: ${panic}`, {
        evidence: { console: console.lastLines(40) },
      }),
    );
  });
  void context.over.then((error) => failed.abort(error));
  const { login } = family.guest;
  try {
    await Promise.all([
      slot.shell?.ready(wait),
      slot.sampling?.ready(wait),
      login && awaitPrompt(console, login.prompt, wait, from),
    ]);
  } catch (error) {
    if (failed.signal.reason instanceof QmpilotError) throw failed.signal.reason;
    if (!(error instanceof QmpilotError) || options.signal?.aborted || restored.aborted) throw error;
    const stage = formatBootProgress(describeBoot(console.textBetween(from, console.position).split('\n')));
    throw new QmpilotError(
      error.code,
      `the guest ${family.guest.name} did not come up again: ${stage} (${error.message})`,
      {
        cause: error,
        evidence: { console: console.lastLines(20) },
        hint: 'look at its console below; a slow host needs a longer timeout',
      },
    );
  } finally {
    forget();
    failed.abort();
  }
}

import type { PoweroffStallFinding } from '../../detect/finding.js';
import {
  createShutdownDetector,
  type ShutdownDetector,
  type ShutdownReport,
} from '../../detect/shutdown/shutdown-detector.js';
import type { ShutdownJob } from '../../detect/shutdown/stop-jobs.js';
import { judgeShutdown, openJobs, type ShutdownJudgement, type ShutdownWish } from '../../detect/shutdown/verdict.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { Machine } from '../../qemu/process/machine.js';
import type { QmpEvent } from '../../qmp/protocol/messages.js';
import { monotonicMs } from '../../util/clock.js';
import { awaitWithin, type WaitOptions } from '../../util/deadline.js';
import { parseDuration, type Duration } from '../../util/duration.js';
import type { VmContext } from '../context.js';
import type { MachineSlot } from '../machine/machine-slot.js';
import { pollSystemd } from './poll-systemd.js';

export interface PoweroffOptions extends WaitOptions {
  /**
   * How it is asked for: `shell` (default where there is one) asks the guest's init by the console shell, `acpi` presses the power
   * button, `none` leaves it to the caller, who has typed it or is about to.
   */
  readonly via?: 'shell' | 'acpi' | 'none' | undefined;
  /** What is asked for; default `poweroff`. */
  readonly wanted?: ShutdownWish | undefined;
  /** From when on an end that came is `slow` instead of `clean`; default 1 min. */
  readonly slowAfter?: Duration | undefined;
}

/** How a poweroff, reboot or halt went; `formatShutdown` makes a small timeline of it. */
export interface PoweroffReport extends ShutdownReport, ShutdownJudgement {
  readonly wanted: ShutdownWish;
  /** When it stalled: the job that systemd waits for. */
  readonly job?: ShutdownJob;
  /** When it stalled: the same as a finding. */
  readonly finding?: PoweroffStallFinding;
}

const DEFAULT_TIMEOUT = '3m';
const DEFAULT_SLOW = '1m';
const PHASE_TICK_MS = 250;

/**
 * Asks the guest to power off and follows it to the end, or to the timeout.
 * @throws {ABORTED} also when `restored` fires: a restore has replaced the guest
 */
export async function powerOff(
  context: VmContext,
  restored: AbortSignal,
  options: PoweroffOptions,
): Promise<PoweroffReport> {
  const signal = options.signal ? AbortSignal.any([restored, options.signal]) : restored;
  try {
    const report = await context.slot.expectEnd(() => requestAndFollow(context, { ...options, signal }));
    if (report.finding) context.emit({ type: 'finding', finding: report.finding });
    return report;
  } catch (error) {
    if (!restored.aborted || options.signal?.aborted) throw error;
    throw new QmpilotError('ABORTED', `the VM ${context.name} was restored before it had powered off`, {
      cause: error,
    });
  }
}

async function requestAndFollow(context: VmContext, options: PoweroffOptions): Promise<PoweroffReport> {
  // A snapshot that is made meanwhile replaces the machine, and the guest goes on in the new one.
  const { slot, console } = context;
  const detector = createShutdownDetector();
  const begun = monotonicMs();
  const now = () => monotonicMs() - begun;
  const limit = parseDuration(options.timeout ?? DEFAULT_TIMEOUT, 'timeout');
  const slowAfterMs = parseDuration(options.slowAfter ?? DEFAULT_SLOW, 'slowAfter');
  const wanted = options.wanted ?? 'poweroff';
  const stop = new AbortController();
  const undo = [
    console.onBytes((chunk) => detector.console(chunk, now())),
    onQmpEvent(slot, ({ event, data }) => detector.qmpEvent(event, { ...data }, now())),
    followPhases(context, detector, now),
  ];
  try {
    await context.turns.take('the request to power off', { signal: options.signal }, async () => {
      detector.requested(now());
      await request(context, detector, wanted, options);
    });
    const shell = context.samplingShell;
    if (shell) void pollSystemd(shell, detector, now, stop.signal);
    const ended = await awaitEnd(slot, detector, now, limit, options.signal);
    if (ended) detector.qemuExited(now());
  } finally {
    stop.abort();
    for (const step of undo) step();
  }
  const report = detector.report(now());
  const judgement = judgeShutdown(report, { wanted, slowAfterMs });
  if (report.end !== 'running') return { ...report, ...judgement, wanted };
  const job = openJobs(report)[0];
  return { ...report, ...judgement, wanted, ...(job && { job }), finding: detector.finding(now()) };
}

async function request(
  { samplingShell: shell, machine }: VmContext,
  detector: ShutdownDetector,
  wanted: ShutdownWish,
  options: PoweroffOptions,
): Promise<void> {
  const via = options.via ?? (shell ? 'shell' : 'acpi');
  if (via === 'acpi') {
    if (wanted !== 'poweroff')
      throw new QmpilotError('USAGE', `the power button cannot ask for a ${wanted}`, {
        hint: "say via: 'shell', or type it and say via: 'none'",
      });
    await machine.qmp.execute('system_powerdown', undefined, { signal: options.signal });
  } else if (via === 'shell') {
    if (!shell)
      throw new QmpilotError('USAGE', `this guest has no console shell to ask for a ${wanted}`, {
        hint: "say via: 'acpi'",
      });
    try {
      const { exitCode, stderr, stdout } = await shell.exec(requestCommand(wanted), {
        signal: options.signal,
        patience: '30s',
      });
      if (exitCode !== 0) detector.refused(stderr.trim() || stdout.trim() || `exit code ${exitCode}`);
    } catch (error) {
      // The guest may be off before it can say that the command ended; one that does not answer is what is looked at here.
      if (isQmpilotError(error, 'TIMEOUT') || isQmpilotError(error, 'SHELL_LOST')) detector.refused(error.message);
      else if (!isQmpilotError(error, 'CONSOLE_CLOSED')) throw error;
    }
  }
}

/** Where systemd runs it is asked without waiting for it; busybox and sysvinit have a command of the same name. */
function requestCommand(wanted: ShutdownWish): string {
  return `if [ -d /run/systemd/system ]; then systemctl --no-block ${wanted}; else ${wanted}; fi`;
}

/** @returns whether QEMU has ended; otherwise time was up, or the guest halted or came up again */
function awaitEnd(
  slot: MachineSlot,
  detector: ShutdownDetector,
  now: () => number,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return awaitWithin<boolean>({ awaited: 'the guest to power off' }, { signal }, (resolve) => {
    const forget = slot.onMachine((machine) => {
      void machine.process.exited.then(() => {
        if (machine === slot.machine) resolve(true);
      });
    });
    const timer = setInterval(() => {
      const { end } = detector.report(now());
      if (now() >= limit || end === 'halted' || end === 'rebooted' || end === 'panicked') resolve(false);
      // After `off` QEMU exits by itself, and only its exit is the end, unless it was told to stay (-no-shutdown, as libvirt does).
      if (end === 'off') void isShutDown(slot.machine).then((stays) => stays && resolve(false));
    }, PHASE_TICK_MS);
    return () => {
      clearInterval(timer);
      forget();
    };
  });
}

async function isShutDown({ qmp }: Machine): Promise<boolean> {
  const { status } = await qmp
    .execute('query-status', undefined, { patience: PHASE_TICK_MS })
    .catch(() => ({ status: 'unknown' }));
  return status === 'shutdown';
}

function onQmpEvent(slot: MachineSlot, listener: (event: QmpEvent) => void): () => void {
  let unsubscribe = () => {};
  const forget = slot.onMachine(({ qmp }) => {
    unsubscribe();
    unsubscribe = qmp.on(listener);
  });
  return () => {
    forget();
    unsubscribe();
  };
}

function followPhases(context: VmContext, detector: ShutdownDetector, now: () => number): () => void {
  let told = '';
  const timer = setInterval(() => {
    const { phase } = detector.report(now());
    if (phase !== told) context.emit({ type: 'poweroff', phase });
    told = phase;
  }, PHASE_TICK_MS);
  return () => clearInterval(timer);
}

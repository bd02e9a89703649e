import type { PoweroffStallFinding } from '../../detect/finding.js';
import { createShutdownDetector, type ShutdownDetector } from '../../detect/shutdown/shutdown-detector.js';
import type { ShutdownReport } from '../../detect/shutdown/shutdown-report.js';
import type { ShutdownJob } from '../../detect/shutdown/stop-jobs.js';
import { judgeShutdown, openJobs, type ShutdownJudgement, type ShutdownWish } from '../../detect/shutdown/verdict.js';
import { QmpilotError } from '../../errors.js';
import type { Machine } from '../../qemu/process/machine.js';
import type { QmpEvent } from '../../qmp/protocol/messages.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import type { VmContext } from '../context.js';
import type { MachineSlot } from '../machine/machine-slot.js';
import { pollSystemd } from './poll-systemd.js';
import { requestShutdown } from './request.js';

export interface PoweroffOptions extends WaitOptions {
  /**
   * How it is asked for: `shell` (default where there is one) asks the guest's init by the console shell, `acpi` presses the power
   * button, `none` leaves it to the caller, who has typed it or is about to.
   */
  readonly via?: 'shell' | 'acpi' | 'none' | undefined;
  /** The request; default `poweroff`. */
  readonly wanted?: ShutdownWish | undefined;
  /** An end that came later than this is `slow` instead of `clean`; default 1 min. */
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
/** Longer than the shutdown detector takes an announced end for one that has come. */
const REBOOT_CONFIRM_MS = 20_000;

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
    const report = await context.slot.life.expectEnd(() => requestAndFollow(context, { ...options, signal }));
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
  // A snapshot that is made meanwhile replaces the machine, and the guest continues in the new one.
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
    await context.turns.runWithin('the request to power off', { signal: options.signal }, async () => {
      detector.requested(now());
      await requestShutdown(context, detector, { ...options, wanted, now });
    });
    const shell = context.samplingShell;
    if (shell) void pollSystemd(shell, detector, now, stop.signal);
    const ended = await awaitEnd(slot, detector, now, limit, options.signal);
    if (ended === 'exited') detector.qemuExited(now());
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

/** `time`: it was up before the guest had come to an end. */
type EndOfWait = 'exited' | 'ended' | 'time';

function awaitEnd(
  slot: MachineSlot,
  detector: ShutdownDetector,
  now: () => number,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<EndOfWait> {
  return awaitWithin<EndOfWait>({ awaited: 'the guest to power off' }, { signal }, (resolve) => {
    const forget = slot.onMachine((machine) => {
      void machine.process.exited.then(() => {
        if (machine === slot.machine) resolve('exited');
      });
    });
    let wasReset = false;
    let rebootedAt: number | undefined;
    const forgetReset = onQmpEvent(slot, ({ event }) => {
      wasReset ||= event === 'RESET' || event === 'SHUTDOWN';
    });
    const timer = setInterval(() => {
      const { end } = detector.report(now());
      if (end === 'halted' || end === 'panicked') resolve('ended');
      // The kernel announces a reboot before it comes: QEMU's RESET is the reboot, or else the next kernel's first line.
      if (end !== 'rebooted') rebootedAt = undefined;
      else if (wasReset || now() - (rebootedAt ??= now()) > REBOOT_CONFIRM_MS) resolve('ended');
      if (now() >= limit) resolve('time');
      // QEMU exits by itself when the machine is off, unless it was told to stay (-no-shutdown, as libvirt does).
      if (end === 'off') void isShutDown(slot.machine).then((stays) => stays && resolve('ended'));
    }, PHASE_TICK_MS);
    return () => {
      clearInterval(timer);
      forget();
      forgetReset();
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

import type { PoweroffStallFinding } from '../detect/finding.js';
import { createShutdownDetector, type ShutdownDetector, type ShutdownReport } from '../detect/shutdown/shutdown-detector.js';
import { isQmpilotError, QmpilotError } from '../errors.js';
import type { Machine } from '../qemu/machine.js';
import { exitError } from '../qemu/process.js';
import { bashWord } from '../shell/quote.js';
import type { Shell } from '../shell/shell.js';
import { monotonicMs } from '../util/clock.js';
import { awaitWithin, pause, type WaitOptions } from '../util/deadline.js';
import { parseDuration } from '../util/duration.js';
import type { Vm } from './vm.js';

export interface PoweroffOptions extends WaitOptions {
  /**
   * How it is asked for: `shell` (default where there is one) runs `systemctl poweroff` out of band, `acpi` presses the
   * power button, `none` leaves it to the caller, who has typed it or is about to.
   */
  readonly via?: 'shell' | 'acpi' | 'none' | undefined;
}

export interface PoweroffReport extends Omit<ShutdownReport, 'outcome'> {
  /** `stalled`: not at its end when time was up; `finding` says where. */
  readonly outcome: Exclude<ShutdownReport['outcome'], 'running'> | 'stalled';
  readonly finding?: PoweroffStallFinding;
}

const DEFAULT_TIMEOUT = '3m';
const POLL_MS = 2000;
const PHASE_TICK_MS = 250;

/** The body of `vm.poweroff`. */
export async function powerOff(vm: Vm, machine: Machine, options: PoweroffOptions): Promise<PoweroffReport> {
  const detector = createShutdownDetector();
  const begun = monotonicMs();
  const now = () => monotonicMs() - begun;
  const limit = parseDuration(options.timeout ?? DEFAULT_TIMEOUT, 'timeout');
  const stop = new AbortController();
  const undo = [
    vm.console.onBytes((chunk) => detector.console(chunk, now())),
    machine.qmp.on(({ event, data }) => detector.qmpEvent(event, { ...data }, now())),
    followPhases(vm, detector, now),
  ];
  try {
    detector.requested(now());
    await request(vm, machine, options);
    const shell = vm.samplingShell;
    if (shell) void pollJobs(shell, detector, now, stop.signal);
    const ended = await awaitEnd(machine, detector, now, limit, options.signal);
    if (ended) detector.qemuExited(now());
  } finally {
    stop.abort();
    for (const step of undo) step();
  }
  const report = detector.report(now());
  const { exit } = machine.process;
  if (report.outcome !== 'running') return { ...report, outcome: report.outcome };
  if (exit) throw exitError('the guest was powering off', exit, machine.process.stderr(), machine.process.pid);
  return { ...report, outcome: 'stalled', finding: detector.finding(now()) };
}

async function request(vm: Vm, machine: Machine, options: PoweroffOptions): Promise<void> {
  const via = options.via ?? (vm.samplingShell ? 'shell' : 'acpi');
  if (via === 'acpi') {
    await machine.qmp.execute('system_powerdown', undefined, { signal: options.signal });
  } else if (via === 'shell') {
    const shell = vm.samplingShell;
    if (!shell) throw new QmpilotError('USAGE', 'this guest has no out-of-band shell to ask for a poweroff', { hint: "say via: 'acpi'" });
    // The guest may be off before it can say that the command ended.
    await shell.exec('systemctl --no-block poweroff', { signal: options.signal, timeout: '30s' }).catch((error: unknown) => {
      if (!isQmpilotError(error, 'CONSOLE_CLOSED')) throw error;
    });
  }
}

/** @returns whether QEMU has ended; otherwise time was up, or the guest halted or came up again */
function awaitEnd(machine: Machine, detector: ShutdownDetector, now: () => number, limit: number, signal: AbortSignal | undefined): Promise<boolean> {
  return awaitWithin<boolean>({ awaited: 'the guest to power off' }, { signal }, (resolve) => {
    void machine.process.exited.then(() => resolve(true));
    const timer = setInterval(() => {
      const { outcome } = detector.report(now());
      // After `off` QEMU exits by itself: only its exit is the end.
      if (now() >= limit || outcome === 'halted' || outcome === 'rebooted' || outcome === 'panicked') resolve(false);
    }, PHASE_TICK_MS);
    return () => clearInterval(timer);
  });
}

/** systemd says over the out-of-band shell what the console shows shortened or not at all. */
async function pollJobs(shell: Shell, detector: ShutdownDetector, now: () => number, signal: AbortSignal): Promise<void> {
  const known = new Set<string>();
  while (!signal.aborted) {
    try {
      const { stdout } = await shell.exec('systemctl list-jobs --no-legend --plain --full --no-pager', { signal, timeout: '20s' });
      const units = [...stdout.matchAll(/^ *\d+ +(\S{1,256}) +stop +running\b/gm)].map((match) => match[1] ?? '').filter((unit) => !known.has(unit));
      if (units.length > 0) {
        const names = units.slice(0, 32).map(bashWord).join(' ');
        const shown = await shell.exec(`systemctl show -p Id,Description,Slice,ControlGroup,TimeoutStopUSec -- ${names}`, { signal, timeout: '20s' });
        detector.units(shown.stdout);
        for (const unit of units) known.add(unit);
      }
      detector.jobs(stdout, now());
    } catch {
      // systemd is gone by the last phase, and the shell with the guest.
    }
    await pause(POLL_MS, signal).catch(() => {});
  }
}

function followPhases(vm: Vm, detector: ShutdownDetector, now: () => number): () => void {
  let told = '';
  const timer = setInterval(() => {
    const { phase } = detector.report(now());
    if (phase !== told) vm.emit({ type: 'poweroff', phase });
    told = phase;
  }, PHASE_TICK_MS);
  return () => clearInterval(timer);
}

import { ConsoleLines } from '../console-lines.js';
import type { Candidate, LeftProcess, PoweroffStallFinding, TaskRef } from '../finding.js';
import { readShutdownLine, SHUTDOWN_LITERALS, type ShutdownLine } from './shutdown-line.js';
import type { ShutdownPhase } from './shutdown-phase.js';
import type { ShutdownEnd, ShutdownReport } from './shutdown-report.js';
import { stallFinding } from './stall-finding.js';
import { StopJobs } from './stop-jobs.js';

/** Follows a shutdown by what console, QMP and systemd say of it. */
export interface ShutdownDetector {
  /** The shutdown was asked for. */
  requested(atMs: number): void;
  /** Console output as it came, at that time. */
  console(chunk: string | Uint8Array, atMs: number): void;
  /** An event of QMP: POWERDOWN, SHUTDOWN, RESET and GUEST_PANICKED count. */
  qmpEvent(name: string, data: Readonly<Record<string, unknown>>, atMs: number): void;
  /** Output of `systemctl list-jobs --no-legend --plain`. */
  jobs(text: string, atMs: number): void;
  /** Output of `systemctl show -p Id,Description,Slice,ControlGroup,TimeoutStopUSec UNIT...`. */
  units(text: string): void;
  /** The processes left in a unit's control group, where that was read. */
  processesOf(unit: string, processes: readonly TaskRef[]): void;
  /** The guest refused the request. */
  refused(message: string): void;
  /** QEMU's process has ended. */
  qemuExited(atMs: number): void;
  /** The verdict as far as it can be told at that time. */
  report(atMs: number): ShutdownReport;
  /**
   * The stop jobs that take longer than usual (systemd shows them after 5 s) and still run, longest first. They are due when
   * systemd's limit for them is over; those without a limit have no `dueAt`.
   */
  candidates(atMs: number): Candidate[];
  /** The shutdown as a finding, for a caller that decides that it took too long. */
  finding(atMs: number): PoweroffStallFinding;
}

const ORDER: readonly ShutdownPhase[] = [
  'requested',
  'units',
  'units-stopped',
  'final-kill',
  'unmount',
  'power-off',
  'off',
  'gone',
];
/** systemd shows a job that runs longer than this: JOBS_IN_PROGRESS_WAIT_USEC of src/core/manager.c. */
const USUAL_STOP_MS = 5000;
/** From the kernel's last message to the end of QEMU; milliseconds on a quiet host. */
const LAST_STEP_MS = 15_000;
const MAX_RESOURCES = 32;
const MAX_EVIDENCE = 30;
const MAX_PROCESSES = 64;

/** Follows a `poweroff`, reboot or halt from its request to its end, by console, QMP and systemd. */
export function createShutdownDetector(): ShutdownDetector {
  return new Detector();
}

class Detector implements ShutdownDetector {
  readonly #lines = new ConsoleLines(SHUTDOWN_LITERALS);
  readonly #jobs = new StopJobs();
  readonly #phases: { phase: ShutdownPhase; at: number }[] = [];
  readonly #processes = new Map<number | string, LeftProcess>();
  readonly #failedResources = new Set<string>();
  #resource: string | undefined;
  /** When the kernel said that it ends the machine; QMP or the machine itself confirm it. */
  #kernelEndAt: number | undefined;
  #confirmed = false;
  #firstAt: number | undefined;
  /** Time passed between what was fed: a capture that is fed at once says nothing about how long the machine stayed on. */
  #timed = false;
  #evidence: string[] = [];
  #requestedAt: number | undefined;
  #endedAt: number | undefined;
  #end: ShutdownEnd = 'running';
  #refusal: string | undefined;
  #shutdownEvent = false;
  #shutdownReason: string | undefined;
  #panic: string | undefined;
  #otherInit = false;

  requested(atMs: number): void {
    this.#timed = true;
    this.#requestedAt ??= atMs;
    this.#reach('requested', atMs);
  }

  console(chunk: string | Uint8Array, atMs: number): void {
    this.#firstAt ??= atMs;
    this.#timed ||= atMs > this.#firstAt;
    this.#lines.push(chunk, (line) => {
      const said = readShutdownLine(line);
      for (const item of said) this.#take(item, atMs);
      if (said.length > 0 && this.#requestedAt !== undefined) this.#keep(line);
    });
  }

  qmpEvent(name: string, data: Readonly<Record<string, unknown>>, atMs: number): void {
    if (name === 'POWERDOWN') this.requested(atMs);
    if (name === 'SHUTDOWN') {
      this.#confirmed = true;
      this.#shutdownEvent = true;
      this.#shutdownReason = typeof data['reason'] === 'string' ? data['reason'] : undefined;
      this.#finish(endOf(data['guest'] === true, this.#shutdownReason), atMs);
    }
    if (this.#requestedAt === undefined) return;
    if (name === 'GUEST_PANICKED') this.#finish('panicked', atMs);
    if (name === 'RESET' && data['guest'] === true) {
      this.#confirmed = true;
      this.#finish('rebooted', atMs);
    }
  }

  jobs(text: string, atMs: number): void {
    this.#jobs.listed(text, atMs);
    if (this.#jobs.all().some((job) => job.type === 'stop' && !job.ended)) this.#reach('units', atMs);
  }

  units(text: string): void {
    this.#jobs.shown(text);
  }

  processesOf(unit: string, processes: readonly TaskRef[]): void {
    this.#jobs.holds(unit, processes);
  }

  refused(message: string): void {
    this.#refusal = message.trim().slice(0, 300);
  }

  qemuExited(atMs: number): void {
    this.#confirmed = true;
    this.#finish('killed', atMs);
    this.#phases.push({ phase: 'gone', at: atMs });
  }

  report(atMs: number): ShutdownReport {
    const from = this.#requestedAt ?? this.#phases[0]?.at ?? atMs;
    const staysOn = this.#staysOn(atMs);
    const phases = staysOn ? lastStep(this.#phases) : [...this.#phases];
    return {
      end: staysOn ? 'running' : this.#end,
      phase: phases.at(-1)?.phase ?? 'requested',
      phases,
      elapsed: Math.max(0, (staysOn ? atMs : (this.#endedAt ?? atMs)) - from),
      jobs: this.#jobs.all(),
      processes: [...this.#processes.values()],
      resources: this.#resources,
      shutdownEvent: this.#shutdownEvent,
      ...(this.#shutdownReason === undefined ? {} : { shutdownReason: this.#shutdownReason }),
      ...(this.#panic === undefined ? {} : { panic: this.#panic }),
      ...(this.#otherInit ? { init: 'other' } : {}),
      ...(this.#refusal === undefined ? {} : { refusal: this.#refusal }),
      evidence: [...this.#evidence],
    };
  }

  candidates(atMs: number): Candidate[] {
    if (this.#end !== 'running') return [];
    return this.#jobs
      .all()
      .filter(({ ended, type, elapsed }) => !ended && type === 'stop' && elapsed >= USUAL_STOP_MS)
      .map(({ unit, description, seenAt, elapsed, limit }) => {
        const name = unit ?? description ?? 'a job';
        const since = Math.min(atMs, seenAt) - elapsed;
        return {
          id: `poweroff-stall ${name}`,
          kind: 'poweroff-stall',
          title: `poweroff stalled: ${name}`,
          since,
          ...(limit === undefined ? {} : { dueAt: since + limit }),
        };
      });
  }

  finding(atMs: number): PoweroffStallFinding {
    return stallFinding(this.report(atMs), atMs);
  }

  get #phase(): ShutdownPhase {
    return this.#phases.at(-1)?.phase ?? 'requested';
  }

  #take(item: ShutdownLine, atMs: number): void {
    switch (item.type) {
      case 'job':
        this.#jobs.drawn(item, atMs);
        if (item.job === 'stop') this.#reach('units', atMs);
        break;
      case 'unit':
        this.#takeUnit(item, atMs);
        break;
      case 'phase':
        // A word that a running system may print as well counts only once the end was asked for.
        if (!item.sure && this.#requestedAt === undefined) break;
        // systemd says what is asked for in the same words.
        if (item.by === 'other-init' && item.phase !== 'requested') this.#otherInit = true;
        this.#reach(item.phase, atMs);
        break;
      case 'processes':
        if (item.all) this.#processes.clear();
        for (const task of item.left)
          if (this.#processes.size < MAX_PROCESSES) this.#processes.set(task.pid ?? task.comm, task);
        break;
      case 'resource':
        if (item.failed && this.#failedResources.size < MAX_RESOURCES) this.#failedResources.add(item.name);
        this.#resource = item.name;
        break;
      case 'unit-timeout':
        if (this.#requestedAt === undefined) break;
        this.#jobs.timedOut(item.unit, atMs);
        this.#reach('units', atMs);
        break;
      case 'unit-kill':
        this.#jobs.killed(item.unit, item.task);
        break;
      case 'end':
        if (item.how !== 'halt') this.#kernelEndAt ??= atMs;
        this.#finish(item.how === 'power-off' ? 'off' : item.how === 'reboot' ? 'rebooted' : 'halted', atMs);
        break;
      case 'panic':
        if (this.#requestedAt === undefined) break;
        this.#panic = item.message;
        this.#finish('panicked', atMs);
        break;
      case 'boot':
        if (this.#requestedAt === undefined) break;
        this.#confirmed = true;
        this.#finish('rebooted', atMs);
        break;
    }
  }

  get #resources(): string[] {
    if (this.#failedResources.size > 0) return [...this.#failedResources];
    return this.#resource === undefined ? [] : [this.#resource];
  }

  /** The kernel said that it ends the machine, and nothing came of it. */
  #staysOn(atMs: number): boolean {
    return (
      this.#kernelEndAt !== undefined && this.#timed && !this.#confirmed && atMs - this.#kernelEndAt > LAST_STEP_MS
    );
  }

  #takeUnit(item: Extract<ShutdownLine, { type: 'unit' }>, atMs: number): void {
    if (item.unit !== undefined) this.#jobs.named(item.unit, item.description);
    if (item.verb === 'stopped') this.#jobs.stopped(item.unit, item.description);
    if (item.sure || this.#requestedAt !== undefined) this.#reach('units', atMs);
  }

  /** Only forward: the console shows lines of different writers out of order. */
  #reach(phase: ShutdownPhase, atMs: number): void {
    if (this.#phases.length > 0 && ORDER.indexOf(phase) <= ORDER.indexOf(this.#phase)) return;
    this.#requestedAt ??= atMs;
    this.#phases.push({ phase, at: atMs });
    if (ORDER.indexOf(phase) > ORDER.indexOf('units')) this.#jobs.endAll();
  }

  #finish(end: ShutdownEnd, atMs: number): void {
    if (this.#end !== 'running') return;
    this.#end = end;
    this.#endedAt = atMs;
    if (end === 'off') this.#reach('off', atMs);
  }

  /** The animation of a waiting job comes twice a second: its last picture is enough. */
  #keep(line: string): void {
    const text = line.trim().slice(0, 300);
    const last = this.#evidence.at(-1);
    const sameJob = last !== undefined && withoutTimes(last) === withoutTimes(text);
    this.#evidence = [...(sameJob ? this.#evidence.slice(0, -1) : this.#evidence), text].slice(-MAX_EVIDENCE);
  }
}

/** ShutdownCause of QEMU's qapi/run-state.json. */
function endOf(byGuest: boolean, reason: string | undefined): ShutdownEnd {
  if (reason === 'guest-panic') return 'panicked';
  if (!byGuest) return 'killed';
  return reason === 'guest-reset' ? 'rebooted' : 'off';
}

/** The machine is not off: the last step has begun. */
function lastStep(phases: ShutdownReport['phases']): ShutdownReport['phases'] {
  const before = phases.filter(({ phase }) => phase !== 'off');
  if (before.at(-1)?.phase === 'power-off') return before;
  const at = phases.find(({ phase }) => phase === 'off')?.at ?? before.at(-1)?.at ?? 0;
  return [...before, { phase: 'power-off', at }];
}

function withoutTimes(line: string): string {
  return line.replace(/^[[\]* ]+/, '').replace(/\([^()]{1,60}\)/g, '');
}

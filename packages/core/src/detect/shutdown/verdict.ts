import type { LeftProcess } from '../finding.js';
import type { ShutdownReport } from './shutdown-report.js';
import type { ShutdownJob } from './stop-jobs.js';
import { formatTimeSpan } from './time-span.js';

/** The request to the system. */
export type ShutdownWish = 'poweroff' | 'reboot' | 'halt';

/** The outcome of a shutdown. */
export type ShutdownVerdict =
  /** It came to the end that was asked for, in time. */
  | 'clean'
  /** It came to that end, later than it should. */
  | 'slow'
  /** It did not come to that end. */
  | 'stalled'
  | 'panicked'
  /** The machine rebooted without a request. */
  | 'rebooted'
  /** QEMU was ended from outside, or died, before the guest had come to an end. */
  | 'killed';

/** The outcome of a shutdown, and the reason for it. */
export interface ShutdownJudgement {
  readonly outcome: ShutdownVerdict;
  /** Why, as a sentence; holds text of the guest. */
  readonly reason: string;
}

const WANTED_END: Readonly<Record<ShutdownWish, ShutdownReport['end']>> = {
  poweroff: 'off',
  reboot: 'rebooted',
  halt: 'halted',
};
const ENDED: Readonly<Partial<Record<ShutdownReport['end'], string>>> = {
  off: 'the machine powered off',
  rebooted: 'the machine rebooted',
  halted: 'the system halted',
};

/**
 * Says what a shutdown came to. A report whose end is `running` is taken as given up on. A caller that waits until its time is
 * up and passes the report of then gets `stalled` also where the kernel said `reboot: Power down` and the machine stays on.
 */
export function judgeShutdown(
  report: ShutdownReport,
  wish: { readonly wanted: ShutdownWish; readonly slowAfterMs: number },
): ShutdownJudgement {
  const { end, elapsed } = report;
  const took = formatTimeSpan(elapsed);
  const ended = ENDED[end] ?? '';
  if (end === 'panicked')
    return {
      outcome: 'panicked',
      reason: `the kernel panicked ${took} after the ${wish.wanted} was requested${report.panic === undefined ? '' : `: ${report.panic}`}`,
    };
  if (end === 'killed')
    return {
      outcome: 'killed',
      reason: `QEMU ended${report.shutdownReason === undefined ? '' : ` (${report.shutdownReason})`} in phase ${lastPhase(report)}, before the guest had come to an end`,
    };
  if (end === 'running') return { outcome: 'stalled', reason: `after ${took} ${stallReason(report)}` };
  if (end === WANTED_END[wish.wanted] || (end === 'off' && wish.wanted === 'halt')) {
    if (elapsed <= wish.slowAfterMs) return { outcome: 'clean', reason: `${ended} within ${took}` };
    return { outcome: 'slow', reason: `${ended}, but after ${took}${slowReason(report)}` };
  }
  if (end === 'rebooted')
    return { outcome: 'rebooted', reason: `${ended} after ${took}, although a ${wish.wanted} was requested` };
  return { outcome: 'stalled', reason: `${ended} after ${took}, although a ${wish.wanted} was requested` };
}

function lastPhase({ phases }: ShutdownReport): string {
  return phases.findLast(({ phase }) => phase !== 'gone')?.phase ?? 'requested';
}

function stallReason(report: ShutdownReport): string {
  const job = openJobs(report)[0];
  if (report.refusal !== undefined && report.phase === 'requested') return `the guest has refused: ${report.refusal}`;
  if (job !== undefined) return `systemd still waits for ${describeJob(job)}`;
  switch (report.phase) {
    case 'requested':
      return 'no shutdown activity was seen';
    case 'units':
      return report.init === 'other' ? 'services are still being stopped' : 'systemd still stops its units';
    case 'units-stopped':
      return 'all units are stopped, but what comes after them (systemd-shutdown, the kernel) has not ended';
    case 'final-kill':
      if (report.init === 'other') return 'the remaining processes are still being killed';
      return report.processes.length === 0
        ? 'systemd-shutdown still kills the remaining processes'
        : `systemd-shutdown still waits for ${nameTasks(report.processes)}`;
    case 'unmount':
      return `${report.init === 'other' ? 'file systems are still being unmounted' : 'systemd-shutdown still unmounts and detaches file systems and devices'}${nameResources(report)}`;
    case 'power-off':
    case 'off':
    case 'gone':
      return 'the last step of the kernel has not ended';
  }
}

function slowReason({ jobs, processes }: ShutdownReport): string {
  const longest = jobs.filter(({ type }) => type === 'stop').toSorted((one, other) => other.elapsed - one.elapsed)[0];
  if (longest !== undefined && longest.elapsed > 0) return `; it waited longest for ${describeJob(longest)}`;
  return processes.length === 0 ? '' : `; systemd-shutdown waited for ${nameTasks(processes)}`;
}

export function openJobs({ jobs }: ShutdownReport): ShutdownJob[] {
  return jobs.filter(({ ended }) => !ended);
}

/** `user@0.service (User Manager for UID 0) in user-0.slice, 2min 10s of 4min, the limit grew from 2min; left: node (300)` */
export function describeJob(job: ShutdownJob): string {
  const name = job.unit ?? job.description ?? 'a job';
  const about = job.unit === undefined || job.description === undefined ? '' : ` (${job.description})`;
  const place = job.slice === undefined ? '' : ` in ${job.slice}`;
  const times = `, ${formatTimeSpan(job.elapsed)} of ${job.limit === undefined ? 'no limit' : formatTimeSpan(job.limit)}`;
  const before = job.limits.slice(0, -1).map(formatTimeSpan);
  const grown = before.length === 0 ? '' : `, the limit grew from ${before.join(', ')}`;
  const left =
    job.processes === undefined || job.processes.length === 0 ? '' : `; left in it: ${nameTasks(job.processes)}`;
  return `${name}${about}${place}${times}${grown}${left}`;
}

/** `: /srv/nfs, /dev/dm-8`, the mounts and devices that are named. */
export function nameResources({ resources }: ShutdownReport): string {
  return resources.length === 0 ? '' : `: ${resources.slice(0, 5).join(', ')}`;
}

export function nameTasks(tasks: readonly LeftProcess[]): string {
  const names = tasks.slice(0, 5).map(({ comm, pid }) => (pid === undefined ? comm : `${comm} (${pid})`));
  return tasks.length > names.length ? `${names.join(', ')} and ${tasks.length - names.length} more` : names.join(', ');
}

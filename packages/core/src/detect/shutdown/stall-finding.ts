import type { PoweroffStallFinding, TaskRef } from '../finding.js';
import type { ShutdownPhase } from './shutdown-phase.js';
import type { ShutdownReport } from './shutdown-report.js';
import type { ShutdownJob } from './stop-jobs.js';
import { nameResources, nameTasks } from './verdict.js';

/** A shutdown that took too long, as a finding. */
export function stallFinding(report: ShutdownReport, atMs: number): PoweroffStallFinding {
  const job =
    report.phase === 'units' || report.phase === 'requested' ? report.jobs.find(({ ended }) => !ended) : undefined;
  const phase = stalledPhase(report.phase, job);
  const task = report.processes.find((process): process is TaskRef => process.pid !== undefined);
  const where = job === undefined ? phaseText(phase, report) : (job.unit ?? job.description ?? 'a job');
  return {
    kind: 'poweroff-stall',
    severity: 'error',
    title: `poweroff stalled: ${where}`,
    signature: [
      'poweroff-stall',
      phase,
      ...(job === undefined ? [] : [generalUnit(job.unit ?? job.description ?? '')]),
    ].join(' '),
    at: atMs,
    phase,
    ...(job?.unit === undefined ? {} : { unit: job.unit }),
    ...(job?.description === undefined ? {} : { description: job.description }),
    ...(job?.slice === undefined ? {} : { slice: job.slice }),
    ...(job?.cgroup === undefined ? {} : { cgroup: job.cgroup }),
    elapsed: job === undefined ? report.elapsed : job.elapsed,
    ...(job?.limit === undefined ? {} : { limit: job.limit }),
    ...(job === undefined || job.limits.length === 0 ? {} : { limits: job.limits }),
    ...(task === undefined || job !== undefined ? {} : { task }),
    shutdownEvent: report.shutdownEvent,
    evidence: report.evidence,
  };
}

function stalledPhase(phase: ShutdownPhase, job: ShutdownJob | undefined): PoweroffStallFinding['phase'] {
  if (job !== undefined || phase === 'units') return 'units';
  if (phase === 'final-kill' || phase === 'units-stopped') return phase;
  if (phase === 'requested') return 'unknown';
  return phase === 'unmount' ? 'unmount' : 'power-off';
}

function phaseText(phase: PoweroffStallFinding['phase'], report: ShutdownReport): string {
  switch (phase) {
    case 'unknown':
      return 'no shutdown activity was seen';
    case 'power-off':
      return 'the last step of the kernel';
    case 'units-stopped':
      return 'all units are stopped';
    case 'units':
      return report.init === 'other' ? 'services are stopped' : 'systemd stops its units';
    case 'final-kill':
      if (report.init === 'other') return 'the remaining processes are killed';
      return report.processes.length === 0
        ? 'systemd-shutdown kills the remaining processes'
        : `systemd-shutdown waits for ${nameTasks(report.processes.slice(0, 3))}`;
    case 'unmount':
      return `${report.init === 'other' ? 'file systems are unmounted' : 'systemd-shutdown unmounts and detaches'}${nameResources(report)}`;
  }
}

/** Without what differs from one boot to the next: the number of a session. */
function generalUnit(unit: string): string {
  return unit.replace(/^session-\w+\.scope$/, 'session-N.scope');
}

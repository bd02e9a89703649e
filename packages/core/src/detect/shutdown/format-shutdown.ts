import type { ShutdownReport } from './shutdown-detector.js';
import { formatTimeSpan } from './time-span.js';

const OUTCOME: Readonly<Record<ShutdownReport['outcome'], string>> = {
  off: 'the machine is off',
  rebooted: 'the machine rebooted',
  halted: 'the system is halted',
  panicked: 'the kernel panicked',
  running: 'not at its end',
};

/** A shutdown as lines for people, without control characters: what it waits for first. */
export function formatShutdown(report: ShutdownReport): string {
  const waiting = report.jobs.filter(({ ended }) => !ended).map((job) => {
    const name = job.unit ?? job.description ?? 'a job';
    const about = job.description === undefined || job.unit === undefined ? '' : `, ${job.description}`;
    const place = job.slice === undefined ? '' : ` in ${job.slice}`;
    const times = `${formatTimeSpan(job.elapsed)} of ${job.limit === undefined ? 'no limit' : formatTimeSpan(job.limit)}`;
    const grown = job.limits.length > 1 ? `; limits seen: ${job.limits.map(formatTimeSpan).join(', ')}` : '';
    return `${job.type} ${name} (${times}${grown})${place}${about}`;
  });
  const processes = report.processes.map(({ comm, pid }) => `process ${pid} (${comm})`);
  const open = report.outcome === 'running' ? [...waiting, ...processes].map((text) => `  waits for ${text}`) : [];
  const event = report.shutdownEvent ? `QMP sent SHUTDOWN (${report.shutdownReason ?? 'no reason'})` : 'QMP sent no SHUTDOWN';
  return [
    `poweroff: ${OUTCOME[report.outcome]} after ${formatTimeSpan(report.elapsed)}, phase ${report.phase}; ${event}`,
    ...(report.panic === undefined ? [] : [`  panic: ${report.panic}`]),
    ...open,
  ]
    .map((line) => line.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' '))
    .join('\n');
}

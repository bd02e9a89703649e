import type { ShutdownReport } from './shutdown-report.js';
import { formatTimeSpan } from './time-span.js';
import { describeJob, nameTasks, openJobs, type ShutdownJudgement, type ShutdownWish } from './verdict.js';

const PHASE: Readonly<Record<ShutdownReport['phase'], string>> = {
  'requested': 'the shutdown was requested',
  'units': 'systemd stops its units',
  'units-stopped': 'all units are stopped',
  'final-kill': 'the remaining processes are killed',
  'unmount': 'file systems are unmounted',
  'power-off': 'the kernel is asked to power off',
  'off': 'the machine is off',
  'gone': 'QEMU is gone',
};

/** A shutdown as a small timeline for users, one line each, without control characters: the verdict first, then when each phase began. */
export function formatShutdown(report: ShutdownReport & ShutdownJudgement & { readonly wanted: ShutdownWish }): string {
  const begun = report.phases[0]?.at ?? 0;
  const words = report.init === 'other' ? { ...PHASE, units: 'services are stopped' } : PHASE;
  const times = report.phases.map(({ phase, at }) => `  ${seconds(at - begun)}  ${phase.padEnd(10)}  ${words[phase]}`);
  const waits = openJobs(report).map((job) => `${job.type} ${describeJob(job)}`);
  const open =
    report.end === 'running' ? [...waits, ...(report.processes.length === 0 ? [] : [nameTasks(report.processes)])] : [];
  const slow = report.jobs
    .filter(({ ended, elapsed }) => ended && elapsed > 0)
    .map((job) => `  waited for ${job.type} ${describeJob(job)}`);
  const event = report.shutdownEvent
    ? `QMP sent SHUTDOWN (${report.shutdownReason ?? 'no reason'})`
    : 'QMP sent no SHUTDOWN';
  return [
    `${report.wanted}: ${report.outcome}: ${report.reason}`,
    ...times,
    ...slow,
    ...open.map((text) => `  waits for ${text}`),
    ...(report.panic === undefined ? [] : [`  panic: ${report.panic}`]),
    ...(report.refusal === undefined ? [] : [`  refused: ${report.refusal}`]),
    `  ${event}, after ${formatTimeSpan(report.elapsed)} in total`,
  ]
    .map((line) => line.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' '))
    .join('\n');
}

function seconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)} s`.padStart(9);
}

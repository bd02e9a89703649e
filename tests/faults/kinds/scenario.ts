import { statSync } from 'node:fs';
import type { FaultRun, RunEnd } from '../fault-run.js';
import { type FaultKind, inAttempt } from './fault-kind.js';

const MAX_MEMORY_MIB = 500;
const MAX_CONSOLE = 64 << 20;

function logSizes(run: FaultRun): number[] {
  return Array.from(
    { length: 8 },
    (_, index) =>
      statSync(run.path('out', 'run', 'attempts', String(index + 1).padStart(4, '0'), 'console.log'), {
        throwIfNoEntry: false,
      })?.size ?? 0,
  );
}

function bounded(run: FaultRun, { peakMiB }: RunEnd): string[] {
  const sizes = logSizes(run);
  return [
    ...(peakMiB <= MAX_MEMORY_MIB ? [] : [`the controller took ${peakMiB} MiB`]),
    ...(Math.max(...sizes) <= MAX_CONSOLE ? [] : [`a console.log has ${Math.max(...sizes)} bytes`]),
  ];
}

/** What no guest under TCG prints on a serial port within an attempt, many times over. */
const FLOOD = 8 << 20;

function flooded(run: FaultRun): string[] {
  const most = Math.max(...logSizes(run));
  return most >= FLOOD ? [] : [`the console brought ${most} bytes only`];
}

export const SCENARIO_FAULTS: readonly FaultKind[] = [
  inAttempt('the scenario throws', 'throws', [1, 125], /the scenario threw Error: this scenario throws/),
  inAttempt('the scenario never returns', 'never-returns', [0, 1], /^$/),
  inAttempt('the scenario floods notes and files', 'floods', [0, 1], /^$/, { check: bounded }),
  inAttempt('an exception that the scenario does not catch', 'uncaught', [125], /caught by nobody/),
  inAttempt('a rejection that the scenario does not handle', 'unhandled', [125], /handled by nobody/),
  inAttempt('the scenario takes all of the heap', 'out-of-heap', [134, 'SIGABRT'], /heap out of memory|heap limit/, {
    heapMiB: 96,
  }),
  inAttempt('the guest panics', 'panic', [1], /^$/),
  inAttempt('the guest reboots again and again', 'reboot-loop', [0, 1], /^$/),
  inAttempt('the guest prints as fast as it can', 'guest-flood', [0, 1], /^$/, { check: bounded }),
  inAttempt('the guest writes to a virtio console as fast as it can', 'virtio-flood', [0, 1], /^$/, { check: bounded }),
  // It ends by itself, when all of the flood has been read: how long that takes is the host's affair.
  inAttempt('the console brings as much as is read', 'console-flood', [0, 1], /^$/, {
    timeout: '10m',
    check: (run, end) => [...bounded(run, end), ...flooded(run)],
  }),
];

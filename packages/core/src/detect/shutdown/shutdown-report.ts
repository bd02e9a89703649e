import type { LeftProcess } from '../finding.js';
import type { ShutdownPhase } from './shutdown-phase.js';
import type { ShutdownJob } from './stop-jobs.js';

/** How the system went down, as far as it has. */
export type ShutdownEnd =
  /** The machine is off: QEMU said so, or the kernel did. */
  | 'off'
  | 'rebooted'
  | 'halted'
  | 'panicked'
  /** QEMU ended, or was told to, before the guest had come to an end. */
  | 'killed'
  /** It has not come to an end (yet). */
  | 'running';

/** The progress of a shutdown, and what it waits for. Times are in ms on the clock of the caller. */
export interface ShutdownReport {
  readonly end: ShutdownEnd;
  readonly phase: ShutdownPhase;
  /** When each phase was first seen, in order. */
  readonly phases: readonly { readonly phase: ShutdownPhase; readonly at: number }[];
  /** Since it was asked for. */
  readonly elapsed: number;
  /** systemd's jobs that took time, those still running first. */
  readonly jobs: readonly ShutdownJob[];
  /** Processes that systemd-shutdown still waits for. */
  readonly processes: readonly LeftProcess[];
  /** Mounts and devices that could not be released, or else the one that is being released. */
  readonly resources: readonly string[];
  /** Whether QMP sent SHUTDOWN, and with which reason. */
  readonly shutdownEvent: boolean;
  readonly shutdownReason?: string;
  readonly panic?: string;
  /** `other`: no systemd, but busybox, sysvinit, OpenRC or runit, by their words. */
  readonly init?: 'other';
  /** The guest's answer, when it refused to shut down. */
  readonly refusal?: string;
  /** The last lines that said something about it; text of the guest. */
  readonly evidence: readonly string[];
}

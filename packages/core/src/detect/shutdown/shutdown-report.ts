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

/** How far a shutdown came, and what it waits for. Times in ms on the clock of the caller that feeds the detector. */
export interface ShutdownReport {
  readonly end: ShutdownEnd;
  readonly phase: ShutdownPhase;
  /** When each phase was first seen, in order. */
  readonly phases: readonly { readonly phase: ShutdownPhase; readonly at: number }[];
  /** Since it was asked for. */
  readonly elapsed: number;
  /** systemd's jobs that took time, those still running first. */
  readonly jobs: readonly ShutdownJob[];
  /** What systemd-shutdown still waits for. */
  readonly processes: readonly LeftProcess[];
  /** Mounts and devices that could not be released, or else the one that is being released. */
  readonly resources: readonly string[];
  /** Whether QMP sent SHUTDOWN, and with which reason. */
  readonly shutdownEvent: boolean;
  readonly shutdownReason?: string;
  readonly panic?: string;
  /** `other`: no systemd, but busybox, sysvinit, OpenRC or runit, by their words. */
  readonly init?: 'other';
  /** What the guest answered instead of going down. */
  readonly refusal?: string;
  /** The last lines that said something about it; text of the guest. */
  readonly evidence: readonly string[];
}

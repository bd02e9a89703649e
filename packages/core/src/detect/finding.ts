/** `error`: the kernel or the system failed. `warning`: it complained. `info`: worth knowing, no failure by itself. */
export type Severity = 'error' | 'warning' | 'info';

/** One frame of a stack as the kernel printed it. */
export interface StackFrame {
  /** Function, without offset: `__mutex_lock`. Compiler suffixes (`.constprop.0`) are kept in `raw` only. */
  readonly function: string;
  /** `?` in the kernel's output: found on the stack, perhaps stale. */
  readonly uncertain?: boolean;
  /** Put into its caller by the compiler: only a log that was symbolized shows it, so that it never names a failure. */
  readonly inline?: boolean;
  /** Module in brackets behind it, where the kernel names one. */
  readonly module?: string;
  /** The frame as it was printed: `io_sq_thread+0x26e/0x4e0`. */
  readonly raw: string;
}

/** A task as the report names it. */
export interface TaskRef {
  /** The kernel's name of the task, at most 15 bytes; may hold spaces (`npm ci`). */
  readonly comm: string;
  /** The task's own number: what the kernel prints, a thread id where it is a thread. */
  readonly pid: number;
  /** Thread group, where it is known: the process that the thread belongs to. */
  readonly tgid?: number;
}

/** A detector's result, as data. Its text comes from the guest: escape it before you show it. */
export interface Finding {
  /** `hung-task`, `d-state`, `poweroff-stall`, `kernel-panic`, ... */
  readonly kind: string;
  readonly severity: Severity;
  /** One line in the form the field uses: `INFO: task hung in io_sq_thread`. */
  readonly title: string;
  /** The same for the same failure whenever and wherever it happens: for counting, without pids and times. */
  readonly signature: string;
  /** Milliseconds on the clock of the caller that feeds the detector (in a run: since the attempt began). */
  readonly at: number;
  readonly task?: TaskRef;
  readonly cpu?: number;
  /** Innermost frame first. Absent when the kernel printed none. */
  readonly stack?: readonly StackFrame[];
  /** The lines it was read from, as they came, bounded. */
  readonly evidence: readonly string[];
}

/**
 * A pending failure: it becomes a finding when it lasts until `dueAt`, and is dropped when it ends before.
 * A wait for findings is not over while it knows of one.
 */
export interface Candidate {
  /** The same as long as it is the same thread or job. */
  readonly id: string;
  /** Kind of the finding it would become: `d-state`, `poweroff-stall`. */
  readonly kind: string;
  /** Title as of now; holds guest text. */
  readonly title: string;
  /** When it began, in ms on the detector's clock. */
  readonly since: number;
  /** When it becomes a finding, in ms on the detector's clock; for a stop job, when systemd's limit for it is over. Absent where nothing limits it. */
  readonly dueAt?: number;
}

/** A thread that stayed in uninterruptible sleep (state D) without getting anywhere. */
export interface DStateFinding extends Finding {
  readonly kind: 'd-state';
  readonly task: TaskRef;
  /** How long it was seen in D without progress, in ms. */
  readonly stuckMs: number;
  /** The kernel function it sleeps in (`/proc/PID/task/TID/wchan`), where readable. */
  readonly wchan?: string;
  /** Path below /sys/fs/cgroup, where readable. */
  readonly cgroup?: string;
}

/** A process that a shutdown waits for; systemd before 247 prints no process id. */
export interface LeftProcess {
  readonly comm: string;
  readonly pid?: number;
}

/** `poweroff` (or reboot, halt) was asked for and did not come to its end. */
export interface PoweroffStallFinding extends Finding {
  readonly kind: 'poweroff-stall';
  /** The phase in which it stalled: systemd stops units, systemd-shutdown waits, or the kernel does not end. */
  readonly phase: 'units' | 'units-stopped' | 'final-kill' | 'unmount' | 'power-off' | 'unknown';
  /** The unit whose stop job does not end: `user@0.service`, `session-1.scope`. */
  readonly unit?: string;
  /** The unit's description: `User Manager for UID 0`. */
  readonly description?: string;
  /** The slice that holds it: `user-0.slice`. */
  readonly slice?: string;
  readonly cgroup?: string;
  /** How long the job had been running when last seen, in ms. */
  readonly elapsed: number;
  /** systemd's own limit for it when last seen, in ms; absent where it shows none. */
  readonly limit?: number;
  /** Every limit seen, in the order seen: it grows (2 min, then 4 min). */
  readonly limits?: readonly number[];
  /** Whether QMP ever sent SHUTDOWN. */
  readonly shutdownEvent: boolean;
}

import type { StackFrame, TaskRef } from '../../detect/finding.js';
import type { LockKind } from '../locks/lock-wait.js';
import type { TaskState } from '../tasks/tasks.js';

/** What a task does at this moment. */
export interface TaskActivity {
  /** `gone`: there is no such task any more. */
  readonly state: TaskState | 'gone';
  /** The CPU that it runs on. */
  readonly cpu?: number;
  /** It runs the program, not the kernel. */
  readonly userSpace?: boolean;
  /** The system call that it is in: `epoll_pwait`. */
  readonly syscall?: string;
  /** The function of its kernel stack that tells most: `io_sq_thread`. */
  readonly function?: string;
  /** Its kernel stack, innermost frame first. */
  readonly stack: readonly StackFrame[];
}

/** Who holds a lock. */
export interface LockOwner extends TaskActivity {
  /** Absent for a task that is gone. */
  readonly task?: TaskRef;
  /** Of its `task_struct`, in hexadecimal digits. */
  readonly address: string;
  /**
   * It left the kernel's code with the lock held: `certain` when it runs its program, or is about to; `apparent` when it sleeps, interruptibly, in
   * a system call on whose stack nothing refers to the lock.
   */
  readonly leftLocked?: 'certain' | 'apparent';
}

/** What a task waits for. */
export interface LockWait {
  readonly kind: LockKind;
  /** In hexadecimal digits: of the lock, the completion, the page, the wait queue, or the word of the bit. */
  readonly address: string;
  /** `struct io_ring_ctx.uring_lock`, `rtnl_mutex`; absent where it cannot be told. */
  readonly name?: string;
  readonly access?: 'read' | 'write';
  /** Number of readers that hold an rw-semaphore. */
  readonly readers?: number;
  /** Whether the lock itself names its owner, has a hint only (the reader that took it last), or records none. */
  readonly recorded: 'owner' | 'hint' | 'none';
  readonly owners: readonly LockOwner[];
}

/** A task that does not get on. */
export interface StuckTask {
  readonly task: TaskRef;
  /** `blocked` in the kernel, `sleeping` in a wait for a lock that a signal can end, `spinning` on a CPU. */
  readonly state: 'blocked' | 'sleeping' | 'spinning';
  /** How long, in ms, by the guest's clock. */
  readonly waitedMs?: number;
  readonly cpu?: number;
  /** The function of its stack that tells most. */
  readonly function?: string;
  /** Innermost frame first. */
  readonly stack: readonly StackFrame[];
  /** Absent where its stack does not tell. */
  readonly waitsFor?: LockWait;
}

/** Which tasks of a guest are stuck, and for whom they wait, read from its memory. All names in it come from the guest. */
export interface Explanation {
  /** Version of the kernel: `6.1.0-56-cloud-amd64`. */
  readonly kernel: string;
  /** How many tasks were examined. */
  readonly tasks: number;
  readonly stuck: readonly StuckTask[];
  /** Tasks that wait for each other, each for the next and the last for the first. */
  readonly cycles: readonly (readonly TaskRef[])[];
  /** The same for people, one sentence or two for each lock. Control characters of the guest are spelled out. */
  readonly sentences: readonly string[];
  /** What could not be read. */
  readonly notes: readonly string[];
}

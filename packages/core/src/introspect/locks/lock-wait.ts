import type { KernelStack } from '../stacks/unwind.js';
import type { KernelTask } from '../tasks/tasks.js';

/** What a task can wait for. `variable`, `bit` and `page` are waits by address; `wait-queue` is any other queue. */
export type LockKind =
  | 'mutex'
  | 'rw-semaphore'
  | 'percpu-rw-semaphore'
  | 'semaphore'
  | 'rt-mutex'
  | 'spinlock'
  | 'completion'
  | 'page'
  | 'bit'
  | 'variable'
  | 'wait-queue';

/** What a task waits for, as the kernel's memory has it. */
export interface FoundWait {
  readonly kind: LockKind;
  /** Of the lock, the completion, the wait queue, or the word whose bit is awaited. */
  readonly address: bigint;
  /** The kernel's struct at `address`, where it is one. */
  readonly struct?: string;
  readonly access?: 'read' | 'write';
  /** Number of the bit, for `page` and `bit`. */
  readonly bit?: number;
  /** Addresses of the tasks that hold it, as far as it records them. */
  readonly owners: readonly bigint[];
  /** How sure `owners` is: the lock names its holder, it has only a hint (the last reader), or it records none. */
  readonly recorded: 'owner' | 'hint' | 'none';
  /** For a lock held by readers: how many. */
  readonly readers?: number;
}

/** A task that does not run, with its stack. */
export interface WaitingTask {
  readonly task: KernelTask;
  readonly stack: KernelStack;
}

import type { KernelReader } from '../kernel-types.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import type { FoundWait, WaitingTask } from './lock-wait.js';
import { findMutex, findRtMutex, findRwSemaphore, findSemaphore } from './sleeping-locks.js';
import type { StackIndex } from './stack-index.js';
import { findCompletion, findPercpuWriter, findQueueWait } from './wait-queues.js';

/** The functions in which a task waits for each kind of lock. */
const FUNCTIONS = {
  mutex: /^(?:__)?(?:ww_)?mutex_lock|^__ww_mutex/,
  rwsem: /^rwsem_down_(?:read|write)_slowpath/,
  semaphore: /^_{2,3}down(?:_common|_timeout|_interruptible|_killable)?(?:\.|$)/,
  percpuWriter: /^percpu_down_write/,
} as const;
/** Waits are within this many frames of the scheduler. */
const INNERMOST = 8;

/** What a task waits for; undefined where its stack does not tell. */
export function findWait(
  kernel: KernelReader,
  symbols: KernelSymbols,
  waiting: WaitingTask,
  stacks: StackIndex,
): FoundWait | undefined {
  const functions = waiting.stack.frames.slice(0, INNERMOST).map((frame) => frame.function);
  const isIn = (pattern: RegExp) => functions.some((name) => pattern.test(name));
  return (
    findRtMutex(kernel, waiting) ??
    (isIn(FUNCTIONS.mutex) ? findMutex(kernel, waiting, stacks) : undefined) ??
    (isIn(FUNCTIONS.rwsem) ? findRwSemaphore(kernel, waiting, stacks) : undefined) ??
    (isIn(FUNCTIONS.semaphore) ? findSemaphore(kernel, waiting, stacks) : undefined) ??
    findQueueWait(kernel, symbols, waiting, stacks) ??
    (isIn(FUNCTIONS.percpuWriter) ? findPercpuWriter(kernel, waiting) : undefined) ??
    findCompletion(kernel, waiting, stacks)
  );
}

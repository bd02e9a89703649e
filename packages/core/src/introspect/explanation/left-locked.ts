import type { KernelReader } from '../kernel-types.js';
import type { WaitName } from '../names/name-wait.js';
import type { KernelFrame } from '../stacks/unwind.js';
import type { CapturedTask } from './capture.js';

/** The kernel's stacks, data and text are at its end; what is below is user space. */
const KERNEL_HALF = 0xff00_0000_0000_0000n;

/** kernel/entry/common.c: the way back to the program, on which a task may have to give up its CPU. */
const isReturn = (frame: KernelFrame) => frame.uncertain !== true && /exit_to_user_mode/.test(frame.function);
/** Work that is done on that way, and takes locks of its own: io_uring does much of its there. */
const isTaskWork = (frame: KernelFrame) => frame.function === 'task_work_run';

/**
 * Whether the holder of a lock has left the code that took it. A task that runs its program, or is about to, has; one that sleeps in
 * a system call has, as it seems, when no word of its kernel stack points into the object that holds the lock.
 */
export function leftLocked(
  kernel: KernelReader,
  owner: CapturedTask,
  lock: bigint,
  { object }: WaitName,
): 'certain' | 'apparent' | undefined {
  const { task, stack, userSpace } = owner;
  if (task.kernelThread) return undefined;
  if (userSpace || (stack.frames.some(isReturn) && !stack.frames.some(isTaskWork))) return 'certain';
  if (task.state !== 'sleeping' || task.cpu !== undefined || !object || owner.wait?.recorded === 'owner')
    return undefined;
  if (!stack.complete || lock < KERNEL_HALF) return undefined;
  const [from, to] = [object.start, object.start + BigInt(object.size)];
  for (let at = (stack.from + 7n) & ~7n; at + 8n <= stack.to; at += 8n) {
    const word = kernel.memory.u64(at);
    if (word === undefined || (word >= from && word < to)) return undefined;
  }
  return 'apparent';
}

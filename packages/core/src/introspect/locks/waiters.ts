import type { KernelReader } from '../kernel-types.js';
import type { WaitingTask } from './lock-wait.js';
import type { StackIndex } from './stack-index.js';

/** A struct that a task puts on its stack while it waits, and links into the list of the lock. */
export interface WaiterStruct {
  readonly struct: string;
  /** The member that names the task. */
  readonly task: string;
  /** The member that is linked. */
  readonly list: string;
}

export const MUTEX_WAITER: WaiterStruct = { struct: 'mutex_waiter', task: 'task', list: 'list' };
export const RWSEM_WAITER: WaiterStruct = { struct: 'rwsem_waiter', task: 'task', list: 'list' };
export const SEMAPHORE_WAITER: WaiterStruct = { struct: 'semaphore_waiter', task: 'task', list: 'list' };
export const SIMPLE_WAITER: WaiterStruct = { struct: 'swait_queue', task: 'task', list: 'task_list' };
export const QUEUE_WAITER: WaiterStruct = { struct: 'wait_queue_entry', task: 'private', list: 'entry' };

/** Waiters on one lock; a list that is longer is not followed to its end. */
const MAX_WAITERS = 2000;

/** The structs of this kind on the stack of a waiting task that are linked into a list. */
export function waitersOnStack(
  kernel: KernelReader,
  { task, stack }: WaitingTask,
  { struct, task: owner, list }: WaiterStruct,
): bigint[] {
  if (!kernel.has(struct, owner) || !kernel.has(struct, list)) return [];
  const [ownerOffset, listOffset] = [kernel.offset(struct, owner), kernel.offset(struct, list)];
  const found: bigint[] = [];
  for (let at = (stack.from + 7n) & ~7n; at + 8n <= stack.to; at += 8n) {
    if (kernel.memory.u64(at) !== task.address) continue;
    const waiter = at - ownerOffset;
    const node = waiter + listOffset;
    if (waiter < stack.from || !isLinked(kernel, node)) continue;
    found.push(waiter);
  }
  return found;
}

/** The `list_head` of the lock: the one node of the list that is on nobody's stack. */
export function headsOf(kernel: KernelReader, node: bigint, stacks: StackIndex): bigint[] {
  const heads: bigint[] = [];
  let at = kernel.memory.u64(node);
  for (let count = 0; at !== undefined && at !== node && count < MAX_WAITERS; count += 1) {
    if (!stacks.at(at)) heads.push(at);
    at = kernel.memory.u64(at);
  }
  return at === node ? heads : [];
}

function isLinked(kernel: KernelReader, node: bigint): boolean {
  const [next, previous] = [kernel.memory.u64(node), kernel.memory.u64(node + 8n)];
  if (next === undefined || previous === undefined || next === node) return false;
  return kernel.memory.u64(next + 8n) === node && kernel.memory.u64(previous) === node;
}

import type { KernelReader } from '../kernel-types.js';
import type { FoundWait, WaitingTask } from './lock-wait.js';
import type { StackIndex } from './stack-index.js';
import { headsOf, MUTEX_WAITER, RWSEM_WAITER, SEMAPHORE_WAITER, waitersOnStack, type WaiterStruct } from './waiters.js';

/** Flags in the low bits of `mutex.owner`, `rw_semaphore.owner` and `rt_mutex.owner`: kernel/locking. */
const OWNER_FLAGS = 7n;
const READER_OWNED = 1n;
/** `rw_semaphore.count`: bit 0 is the writer's, the readers are counted from bit 8 on. */
const WRITER_LOCKED = 1n;
const READER_SHIFT = 8n;
/** `rwsem_waiter.type` */
const WAITS_FOR_READ = 1;

export function findMutex(kernel: KernelReader, waiting: WaitingTask, stacks: StackIndex): FoundWait | undefined {
  const address = lockOf(kernel, waiting, stacks, MUTEX_WAITER, 'mutex');
  const owner = address === undefined ? undefined : kernel.pointer(address, 'mutex', 'owner');
  if (address === undefined || owner === undefined) return undefined;
  return { kind: 'mutex', struct: 'mutex', address, recorded: 'owner', owners: owners(owner) };
}

export function findRwSemaphore(kernel: KernelReader, waiting: WaitingTask, stacks: StackIndex): FoundWait | undefined {
  const [waiter] = waitersOnStack(kernel, waiting, RWSEM_WAITER);
  const address = lockOf(kernel, waiting, stacks, RWSEM_WAITER, 'rw_semaphore');
  if (waiter === undefined || address === undefined) return undefined;
  const owner = kernel.pointer(address, 'rw_semaphore', 'owner');
  const count = kernel.pointer(address, 'rw_semaphore', 'count');
  if (owner === undefined || count === undefined) return undefined;
  const access = kernel.number(waiter, 'rwsem_waiter', 'type') === WAITS_FOR_READ ? 'read' : 'write';
  const common = { kind: 'rw-semaphore', struct: 'rw_semaphore', address, access } as const;
  if ((count & WRITER_LOCKED) !== 0n) return { ...common, recorded: 'owner', owners: owners(owner) };
  const readers = Number(BigInt.asIntN(64, count) >> READER_SHIFT);
  // The last reader that took it: others may hold it, and this one has released it when it waits for it again.
  const last = (owner & READER_OWNED) !== 0n && readers > 0 ? owners(owner) : [];
  const hinted = last.filter((task) => task !== waiting.task.address);
  return { ...common, recorded: hinted.length > 0 ? 'hint' : 'none', owners: hinted, readers };
}

export function findSemaphore(kernel: KernelReader, waiting: WaitingTask, stacks: StackIndex): FoundWait | undefined {
  const address = lockOf(kernel, waiting, stacks, SEMAPHORE_WAITER, 'semaphore');
  if (address === undefined) return undefined;
  // With CONFIG_DETECT_HUNG_TASK_BLOCKER, since 6.16.
  const last = kernel.pointer(address, 'semaphore', 'last_holder') ?? 0n;
  return {
    kind: 'semaphore',
    struct: 'semaphore',
    address,
    recorded: last === 0n ? 'none' : 'hint',
    owners: owners(last),
  };
}

/** The task itself says which rt_mutex it waits for. PREEMPT_RT makes mutexes and spinlocks of them. */
export function findRtMutex(kernel: KernelReader, { task }: WaitingTask): FoundWait | undefined {
  const waiter = kernel.pointer(task.address, 'task_struct', 'pi_blocked_on') ?? 0n;
  if (waiter === 0n) return undefined;
  const address = kernel.pointer(waiter, 'rt_mutex_waiter', 'lock') ?? 0n;
  // `rt_mutex` itself up to 5.14.
  const struct = kernel.btf.has('rt_mutex_base') ? 'rt_mutex_base' : 'rt_mutex';
  const owner = address === 0n ? undefined : kernel.pointer(address, struct, 'owner');
  if (owner === undefined) return undefined;
  return { kind: 'rt-mutex', struct, address, recorded: 'owner', owners: owners(owner) };
}

function lockOf(
  kernel: KernelReader,
  waiting: WaitingTask,
  stacks: StackIndex,
  waiter: WaiterStruct,
  lock: string,
): bigint | undefined {
  const list = kernel.btf.offset(lock, 'wait_list');
  const [found] = waitersOnStack(kernel, waiting, waiter);
  if (list === undefined || found === undefined) return undefined;
  const [head] = headsOf(kernel, kernel.at(found, waiter.struct, waiter.list), stacks);
  return head === undefined ? undefined : head - BigInt(list);
}

function owners(value: bigint): bigint[] {
  const task = value & ~OWNER_FLAGS;
  return task === 0n ? [] : [task];
}

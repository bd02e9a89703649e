import type { KernelReader } from '../kernel-types.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import type { FoundWait, WaitingTask } from './lock-wait.js';
import type { StackIndex } from './stack-index.js';
import { headsOf, QUEUE_WAITER, SIMPLE_WAITER, waitersOnStack } from './waiters.js';

/** include/linux/wait.h: it marks readers, and was 8 up to 6.5 and is 4 since, where 4 had no part in such waits. */
const WQ_FLAG_CUSTOM = 0xc;

/** What a wait on a queue is for, told by the function that wakes it. */
export function findQueueWait(
  kernel: KernelReader,
  symbols: KernelSymbols,
  waiting: WaitingTask,
  stacks: StackIndex,
): FoundWait | undefined {
  for (const entry of waitersOnStack(kernel, waiting, QUEUE_WAITER)) {
    const wake = kernel.pointer(entry, 'wait_queue_entry', 'func');
    const name = wake === undefined ? undefined : symbols.at(wake);
    if (name?.offset !== 0) continue;
    const found = waitOf(kernel, waiting, stacks, entry, name.name);
    if (found) return found;
  }
  return undefined;
}

function waitOf(
  kernel: KernelReader,
  waiting: WaitingTask,
  stacks: StackIndex,
  entry: bigint,
  wake: string,
): FoundWait | undefined {
  if (wake === 'wake_page_function') return pageWait(kernel, entry);
  if (wake === 'wake_bit_function' || wake === 'var_wake_function') return bitWait(kernel, entry);
  const head = queueOf(kernel, waiting, stacks, entry);
  if (head === undefined) return undefined;
  if (wake === 'percpu_rwsem_wake_function' && kernel.has('percpu_rw_semaphore', 'waiters')) {
    return {
      kind: 'percpu-rw-semaphore',
      struct: 'percpu_rw_semaphore',
      address: head - kernel.offset('percpu_rw_semaphore', 'waiters'),
      access: ((kernel.number(entry, 'wait_queue_entry', 'flags') ?? 0) & WQ_FLAG_CUSTOM) === 0 ? 'write' : 'read',
      recorded: 'none',
      owners: [],
    };
  }
  return { kind: 'wait-queue', struct: 'wait_queue_head', address: head, recorded: 'none', owners: [] };
}

function pageWait(kernel: KernelReader, entry: bigint): FoundWait | undefined {
  const outer = kernel.btf.offset('wait_page_queue', 'wait');
  if (outer === undefined) return undefined;
  const queue = entry - BigInt(outer);
  const page =
    kernel.pointer(queue, 'wait_page_queue', 'folio') ?? kernel.pointer(queue, 'wait_page_queue', 'page') ?? 0n;
  const bit = kernel.number(queue, 'wait_page_queue', 'bit_nr');
  if (page === 0n) return undefined;
  return {
    kind: 'page',
    struct: 'page',
    address: page,
    recorded: 'none',
    owners: [],
    ...(bit !== undefined && { bit }),
  };
}

function bitWait(kernel: KernelReader, entry: bigint): FoundWait | undefined {
  const outer = kernel.btf.offset('wait_bit_queue_entry', 'wq_entry');
  if (outer === undefined) return undefined;
  const queue = entry - BigInt(outer);
  const address = kernel.pointer(queue, 'wait_bit_queue_entry', 'key.flags') ?? 0n;
  const bit = (kernel.number(queue, 'wait_bit_queue_entry', 'key.bit_nr') ?? 0) | 0;
  if (address === 0n) return undefined;
  // wait_var_event() waits for a variable, and has no bit.
  return bit < 0
    ? { kind: 'variable', address, recorded: 'none', owners: [] }
    : { kind: 'bit', address, bit, recorded: 'none', owners: [] };
}

/** The queue's head. Entries of epoll are on no stack either: the head is then the one that the task has a pointer to. */
function queueOf(kernel: KernelReader, { stack }: WaitingTask, stacks: StackIndex, entry: bigint): bigint | undefined {
  const offset = kernel.offset('wait_queue_head', 'head');
  const heads = headsOf(kernel, kernel.at(entry, 'wait_queue_entry', 'entry'), stacks).map((head) => head - offset);
  if (heads.length <= 1) return heads[0];
  for (let at = (stack.from + 7n) & ~7n; at + 8n <= stack.to; at += 8n) {
    const word = kernel.memory.u64(at);
    const head = heads.find((one) => one === word);
    if (head !== undefined) return head;
  }
  return undefined;
}

/** Completions have queues of the simple kind. */
export function findCompletion(kernel: KernelReader, waiting: WaitingTask, stacks: StackIndex): FoundWait | undefined {
  const [waiter] = waitersOnStack(kernel, waiting, SIMPLE_WAITER);
  const list = kernel.btf.offset('swait_queue_head', 'task_list');
  const wait = kernel.btf.offset('completion', 'wait');
  if (waiter === undefined || list === undefined || wait === undefined) return undefined;
  const node = kernel.at(waiter, SIMPLE_WAITER.struct, SIMPLE_WAITER.list);
  // The completion is often on the stack of the waiter itself: the only other node is the head.
  const heads = headsOf(kernel, node, stacks);
  const head = heads[0] ?? kernel.memory.u64(node);
  if (head === undefined || head === node) return undefined;
  return {
    kind: 'completion',
    struct: 'completion',
    address: head - BigInt(list) - BigInt(wait),
    recorded: 'none',
    owners: [],
  };
}

/** A writer that waits for the readers of a per-CPU rw-semaphore to leave is recorded in the lock, and waits on no queue. */
export function findPercpuWriter(kernel: KernelReader, { task, stack }: WaitingTask): FoundWait | undefined {
  const writer = kernel.btf.offset('percpu_rw_semaphore', 'writer');
  if (writer === undefined) return undefined;
  for (let at = (stack.from + 7n) & ~7n; at + 8n <= stack.to; at += 8n) {
    const word = kernel.memory.u64(at);
    if (word === undefined || word < 0xff00_0000_0000_0000n) continue;
    if (kernel.memory.u64(word + BigInt(writer)) !== task.address) continue;
    return {
      kind: 'percpu-rw-semaphore',
      struct: 'percpu_rw_semaphore',
      address: word,
      access: 'write',
      recorded: 'none',
      owners: [],
    };
  }
  return undefined;
}

import type { KernelReader } from '../kernel-types.js';

/** include/linux/threads.h: more than the kernel allows by default (pid_max of 32768 or 4194304). */
const MAX_THREADS = 100_000;
const MAX_THREADS_OF_PROCESS = 32_768;
/** include/linux/sched.h */
const TASK_UNINTERRUPTIBLE = 0x2;
const TASK_NOLOAD = 0x400;
const TASK_INTERRUPTIBLE = 0x1;
const TASK_PARKED = 0x40;
const TASK_STOPPED = 0xc;
const PF_KTHREAD = 0x0020_0000;

/** A thread of the guest, or a thread of its kernel, as its `task_struct` has it. */
export interface KernelTask {
  /** Of the `task_struct`. */
  readonly address: bigint;
  /** The task's own number: the thread id. */
  readonly tid: number;
  /** Of its process. */
  readonly pid: number;
  /** Text of the guest. */
  readonly comm: string;
  readonly state: TaskState;
  /** It runs on this CPU, or is about to. */
  readonly cpu?: number;
  readonly kernelThread: boolean;
  /** Bottom of its kernel stack. */
  readonly stack: bigint;
  /** Its saved stack pointer; of use while it does not run. */
  readonly sp: bigint;
  /** When it last began or ceased to run, in ns of the scheduler's clock. */
  readonly lastRan?: bigint;
}

/** What a task does, by its state in the scheduler. `blocked` is uninterruptible sleep, D. */
export type TaskState = 'running' | 'sleeping' | 'blocked' | 'idle' | 'stopped' | 'dead';

export interface TaskList {
  readonly tasks: readonly KernelTask[];
  /** False when the lists are damaged, or longer than any kernel's. */
  readonly complete: boolean;
}

/** All threads, from `init_task` on. */
export function readTasks(kernel: KernelReader, initTask: bigint): TaskList {
  const processes = kernel.list(kernel.at(initTask, 'task_struct', 'tasks'), 'task_struct', 'tasks', MAX_THREADS);
  const found = new Set<bigint>([initTask]);
  let { complete } = processes;
  let left = MAX_THREADS;
  for (const process of processes.entries) {
    const signal = kernel.pointer(process, 'task_struct', 'signal');
    if (signal === undefined) {
      complete = false;
      continue;
    }
    const head = kernel.at(signal, 'signal_struct', 'thread_head');
    // Of all processes together: damaged ones may share one long list.
    const threads = kernel.list(head, 'task_struct', 'thread_node', Math.min(left, MAX_THREADS_OF_PROCESS));
    left -= threads.entries.length;
    complete &&= threads.complete;
    for (const thread of [process, ...threads.entries]) found.add(thread);
  }
  return { tasks: tasksAt(kernel, found), complete };
}

function tasksAt(kernel: KernelReader, addresses: ReadonlySet<bigint>): KernelTask[] {
  return [...addresses].flatMap((address) => readTask(kernel, address) ?? []);
}

function readTask(kernel: KernelReader, address: bigint): KernelTask | undefined {
  const tid = kernel.number(address, 'task_struct', 'pid');
  const pid = kernel.number(address, 'task_struct', 'tgid');
  const comm = kernel.text(address, 'task_struct', 'comm', 16);
  const stack = kernel.pointer(address, 'task_struct', 'stack');
  const sp = kernel.pointer(address, 'task_struct', 'thread.sp');
  // `state` up to 5.13.
  const state = kernel.number(address, 'task_struct', kernel.has('task_struct', '__state') ? '__state' : 'state');
  if (tid === undefined || pid === undefined || comm === undefined || stack === undefined || sp === undefined)
    return undefined;
  const onCpu = kernel.number(address, 'task_struct', 'on_cpu') === 1;
  const cpu = kernel.number(
    address,
    'task_struct',
    kernel.has('task_struct', 'thread_info.cpu') ? 'thread_info.cpu' : 'cpu',
  );
  const lastRan = kernel.pointer(address, 'task_struct', 'se.exec_start');
  const exited = (kernel.number(address, 'task_struct', 'exit_state') ?? 0) !== 0;
  return {
    address,
    tid,
    pid,
    comm,
    stack,
    sp,
    state: exited ? 'dead' : stateOf(state ?? 0),
    kernelThread: ((kernel.number(address, 'task_struct', 'flags') ?? 0) & PF_KTHREAD) !== 0,
    ...(onCpu && cpu !== undefined && { cpu }),
    ...(lastRan !== undefined && lastRan > 0n && { lastRan }),
  };
}

function stateOf(state: number): TaskState {
  if (state === 0) return 'running';
  if ((state & TASK_UNINTERRUPTIBLE) !== 0) return (state & TASK_NOLOAD) === 0 ? 'blocked' : 'idle';
  if ((state & (TASK_STOPPED | TASK_PARKED)) !== 0) return 'stopped';
  return (state & TASK_INTERRUPTIBLE) === 0 ? 'idle' : 'sleeping';
}

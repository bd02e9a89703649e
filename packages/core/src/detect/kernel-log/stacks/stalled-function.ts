import type { StackFrame } from '../../finding.js';
import { union } from '../../union.js';
import { isCertain, syscallName } from './frame-choice.js';
import type { Trace } from './frames.js';
import { isSkipped } from './skip-sets.js';
import type { SkipSet } from './skip-sets.js';

export interface ProgramCounter {
  readonly frame: StackFrame;
  /** Traces begun before it. */
  readonly trace: number;
  /** Frames of the current trace before it; 0 between traces. */
  readonly depth: number;
}

/** Entry functions of the interrupt that noticed the stall: the interrupted code is below them. */
const INTERRUPT = new RegExp(
  union([
    '^(?:asm_)?(?:sysvec_|smp_)?(?:apic_timer_interrupt|reschedule_interrupt|call_function(?:_single)?(?:_interrupt)?$|common_interrupt)',
    '^el1h?_(?:64_)?irq',
    '^__irq_svc',
    '^do_IRQ$',
    '^exc_nmi$',
    '^end_repeat_nmi$',
    '^(?:asm_)?exc_(?:nmi|irq)',
    '^handle_(?:riscv_)?irq',
    '^do_irq$',
  ]),
);
/**
 * What hands out work that is not its own: the function it called represents the loop, wherever in it the sample fell.
 * System calls, work items, timers, softirqs, packets, file and socket operations, faults.
 */
const DISPATCHER = new RegExp(
  union([
    'do_syscall_',
    'do_fast_syscall_',
    'sysenter_dispatch',
    'tracesys_phase2',
    'el0_svc',
    'invoke_syscall',
    'ret_fast_syscall',
    '^handle_syscall',
    '^do_trap_ecall',
    'process_one_work',
    'netif_receive_skb',
    'do_softirq',
    'handle_softirqs',
    'call_timer_fn',
    '_run_timers',
    'run_timer_softirq',
    'hrtimer_run',
    'run_ksoftirqd',
    'smpboot_thread_fn',
    '^kthread$',
    'start_secondary',
    'cpu_startup_entry',
    'ret_from_fork',
    '^ret_to_user',
    'tasklet_(?:hi_)?action',
    'vfs_(?:write|read|iter_read|iter_write|ioctl|open)',
    'do_iter_(?:read|write)',
    'call_(?:read|write)_iter',
    'new_sync_(?:read|write)',
    'ksys_ioctl',
    'compat_(?:sys_)?ioctl',
    'blkdev_(?:driver_)?ioctl',
    '^call_mmap',
    'mmap_region',
    'do_mmap',
    'do_dentry_open',
    '^(?:__)?sock_(?:sendmsg|recvmsg|release|mmap|do_ioctl|ioctl)',
    '^compat_sock_ioctl',
    'kernel_(?:setsockopt|listen|accept)',
    'sock_common_setsockopt',
    '^(?:setsockopt|listen|accept)$',
    'sk_common_release',
    '^nfnetlink_rcv_msg',
    '^rtnetlink_rcv_msg',
    '^netlink_dump',
    '^(?:__(?:x64|ia32|arm64|se|do)_)?(?:sys_)(?:socketpair|connect|ioctl)',
    '__do_fault',
    'do_page_fault',
    '^(?:asm_)?(?:exc_)?page_fault$',
    '__fput',
    'task_work_run',
    'exit_to_user',
  ]),
);
const EVERY_CPU = /smp_call_function/;

/**
 * The function a stall is named by. The loop was met at a random point, so the innermost frame differs from one report to
 * the next; what the dispatcher called does not. A module's own function is taken at once.
 */
export function stalledFunction(
  traces: readonly Trace[],
  counters: readonly ProgramCounter[],
  skip: readonly SkipSet[],
): string | undefined {
  const stacks = stalledStacks(traces, counters);
  for (const stack of stacks) {
    const name = representative(stack, skip);
    if (name !== undefined) return syscallName(name);
  }
  const innermost = stacks
    .flat()
    .find((frame) => isCertain(frame) && !isSkipped(frame.function, skip) && !DISPATCHER.test(frame.function));
  return innermost === undefined ? undefined : syscallName(innermost.function);
}

function representative(stack: readonly StackFrame[], skip: readonly SkipSet[]): string | undefined {
  let before: string | undefined;
  for (const { function: name, module } of stack.filter(isCertain)) {
    if (EVERY_CPU.test(name)) return 'smp_call_function';
    if (DISPATCHER.test(name)) return before;
    if (isSkipped(name, skip)) continue;
    if (module !== undefined) return name;
    before = name;
  }
  return undefined;
}

/** Each trace with the program counters where they were printed, from the interrupt on. */
function stalledStacks(traces: readonly Trace[], counters: readonly ProgramCounter[]): StackFrame[][] {
  const at = (trace: number, depth: number) =>
    counters.filter((counter) => counter.trace === trace && counter.depth === depth).map(({ frame }) => frame);
  const stacks = traces.flatMap(({ frames }, index) => {
    const ahead = at(index, 0).slice(-1);
    const inner = frames.flatMap((frame, depth) => [...(depth === 0 ? [] : at(index + 1, depth)), frame]);
    const whole = [...inner, ...at(index + 1, frames.length)];
    const interrupted = fromInterrupt(whole);
    // With the registers in front, the stack is what was interrupted already; or else it shows the watchdog on top.
    return ahead.length > 0 ? [[...ahead, ...whole], interrupted] : [interrupted];
  });
  return [...stacks, at(traces.length, 0)];
}

function fromInterrupt(frames: StackFrame[]): StackFrame[] {
  const index = frames.findIndex((frame) => isCertain(frame) && INTERRUPT.test(frame.function));
  return index === -1 ? frames : frames.slice(index + 1);
}

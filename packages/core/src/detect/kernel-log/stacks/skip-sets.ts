import { union } from '../../union.js';
import { ALLOCATORS, PACKETS } from './skip/allocators.js';
import { LOCKS } from './skip/locks.js';
import { CONSOLES, MACHINERY } from './skip/machinery.js';
import { COMMON_CODE, PRIMITIVES, PRINTING } from './skip/primitives.js';
import { STALL } from './skip/stall.js';
import { COMPLETIONS, HANG, WAITS } from './skip/waits.js';

/** A set of functions that say nothing about a failure. Names are matched from their start, and whole where `$` says so. */
export type SkipSet = keyof typeof SKIP;

const SKIP = {
  machinery: compile(MACHINERY),
  consoles: compile(CONSOLES),
  primitives: compile([...PRIMITIVES, ...PRINTING]),
  common: compile(COMMON_CODE),
  locks: compile(LOCKS),
  allocators: compile(ALLOCATORS),
  packets: compile(PACKETS),
  waits: compile(WAITS),
  completions: compile(COMPLETIONS),
  hang: compile([...WAITS, ...HANG]),
  stall: compile(STALL),
  rcu: compile(['rcu_', '__rcu_', 'srcu_', '__srcu']),
  usercopy: compile(['usercopy', '__check', 'check_(?:heap|stack|page|object|bogus|kernel)']),
  odebug: compile([
    'debug_',
    '__debug_',
    'timer_',
    '__timer',
    'try_to_del_timer',
    'del_timer',
    'mod_timer',
    'init_timer',
    'hrtimer_',
    'work_',
    '__init_work',
    'destroy_work',
    'percpu_counter_',
    'rcu_',
    'call_rcu',
    'kobject_',
    'free_obj',
  ]),
  kobject: compile(['kobject_', 'kset_', 'sysfs_', 'kobj']),
  usb: compile([
    'usb_submit_urb',
    'usb_start_wait_urb',
    'usb_bulk_msg',
    'usb_interrupt_msg',
    'usb_control_msg',
    'usb_internal',
  ]),
  proc: compile(['proc_', 'remove_proc', '_{0,4}proc']),
  sock: compile(['lock_sock', '_{0,4}lock_sock', 'release_sock']),
  skb: compile(['skb_']),
  // Who allocated it, not by which of the many ways.
  leak: compile([
    '*kmemleak',
    '*mmap',
    '*kmem',
    '*slab',
    '*alloc',
    '*create_object',
    '*idr_get',
    '*list_lru_init',
    '*pcpu_create',
    '*str(?:n)?dup',
  ]),
  pages: compile([
    '*(?:free|put|get|update|release)_page',
    '*free_unref',
    '*truncate_inode_pages',
    '*page_frag_free',
    '*alloc',
    '*vmap',
    '*page_owner',
    '_{0,4}folio',
  ]),
  preempt: compile(['*preempt', '*debug_', '*processor_id', '*this_cpu']),
  // A lock that stands for a piece of work: the failure is that of the waiter.
  workqueue: compile(['process_one_work', 'flush_workqueue', 'drain_workqueue', 'destroy_workqueue']),
  crypto: compile(['*_encrypt$', '*alloc_skb', 'netlink_(?:ack|rcv_skb)', 'crypto_', 'cipher_', 'drbg_', 'rng_']),
};

/** Below these is only how every stack begins: they name a failure only where nothing else is there. */
const BOTTOM = new RegExp(
  `^${union([
    'do_syscall_',
    'entry_SYSCALL',
    'entry_SYSENTER',
    'entry_INT80',
    'do_int80',
    'do_fast_syscall',
    '__do_fast',
    'do_SYSENTER',
    'ret_from_',
    'ret_to_',
    'kthread$',
    'el0t?_',
    'invoke_syscall',
    'do_el0',
    'secondary_startup',
    'start_secondary',
    'x86_64_start',
    'start_kernel',
    'rest_init',
    'ret_fast_syscall',
    'system_call',
    'syscall_',
    'handle_syscall',
    'exit_to_user_mode',
    'cpu_startup_entry',
    'do_idle',
  ])}`,
);

export function isSkipped(name: string, skip: readonly SkipSet[]): boolean {
  return skip.some((set) => SKIP[set].test(name));
}

export function isBottom(name: string): boolean {
  return BOTTOM.test(name);
}

/** Names are matched from their start; those of an entry with a `*` before it anywhere. */
function compile(names: readonly string[]): RegExp {
  const anywhere = names.filter((name) => name.startsWith('*')).map((name) => name.slice(1));
  const start = names.filter((name) => !name.startsWith('*'));
  return new RegExp([...(start.length === 0 ? [] : [`^(?:${start.join('|')})`]), ...anywhere].join('|'));
}

import type { StackFrame } from '../finding.js';

/** Which functions say nothing about a failure. Names are matched from their start, and whole where `$` says so. */
export type SkipSet = keyof typeof SKIP;

const MACHINERY = [
  '_{0,4}dump_stack',
  'dump_(?:header|trace|backtrace)',
  'show_(?:stack|trace|regs)',
  'print_(?:address_description|report|memory|tainted|bad_pte|circular|deadlock|usage|irq|unlock|lock)',
  '_{0,4}kasan_',
  '_{0,4}asan_',
  'check_(?:memory_region|region_inline|unlock_deadlock|noncircular|prev|prevs|deadlock|preemption_disabled)',
  '_{0,4}hwasan_',
  'kmsan_',
  '_{0,4}msan_',
  'kcsan_',
  '_{0,4}tsan_',
  'kfence_',
  'ubsan_',
  '_{0,4}ubsan_',
  'handle_overflow',
  '_{0,4}sanitizer_',
  'write_comp_data',
  '(?:nmi_)?(?:__)?panic(?:$|_)',
  'vpanic$',
  '_{0,4}warn(?:_|$)',
  'report_bug',
  'handle_bug',
  'exc_',
  '(?:asm_|sysvec_)',
  'do_error_trap',
  'do_(?:invalid_op|general_protection|trap|undefinstr|divide_error|stack_segment|bounds|mem_abort|translation_fault|bad_area|kernel_fault)',
  '__do_kernel_fault',
  '_{0,4}die(?:$|_)',
  'oops_',
  'fixup_bug',
  '(?:invalid_op|error_entry|general_protection|divide_error|double_fault|stack_segment|page_fault|async_page_fault)$',
  'page_fault_oops',
  '_{0,4}bad_area',
  'no_context',
  'kernelmode_fixup',
  '_{0,4}do_page_fault',
  'do_user_addr_fault',
  'el[01]h?_(?:64_|t_)?(?:sync|irq|da|ia|undef|error|dbg|inv|abort)',
  'el1_',
  'brk_handler|bug_handler|call_break_hook|debug_exception_enter|do_debug_exception|reg_break_handler',
  'arm64_notify_die|arm64_force_sig|force_signal',
  'handle_exception$|ret_from_exception$|do_trap_',
  'v?printk|_printk|vprintk|console_|vprintk_|printk_|uart_console|serial8250_console|univ8250',
  'lockdep_',
  '_{0,4}might_(?:sleep|resched|fault)',
  '_{0,4}schedule_bug',
  'debug_smp_processor_id',
  '__this_cpu_preempt_check',
  'preempt_(?:count|schedule)',
  'trace_hardirqs|trace_(?:preempt|softirq)|tracer_',
  '_R\\w{1,200}rust_begin_unwind',
  'fortify_panic|__fortify_',
  'rust_(?:begin_unwind|panic|helper_BUG|fmt)',
  '_R\\w{0,200}panicking',
];

const PRIMITIVES = [
  '_{0,4}mem(?:cpy|set|move|cmp|chr|scan|zero|chr_inv)',
  'str(?:len|nlen|cpy|ncpy|lcpy|scpy|cmp|ncmp|casecmp|ncasecmp|cat|ncat|lcat|chr|rchr|str|sep|dup|ndup|spn|pbrk|nchr)',
  'sized_strscpy',
  '_{0,4}(?:copy_(?:from|to)_user|copy_user|copy_in_user|raw_copy|clear_user|get_user|put_user|asm_copy|arch_copy)',
  '_{0,1}copy_(?:from|to)_iter|instrument_',
  'rep_(?:movs|stos)|clear_page|copy_page$',
  '_?find_(?:first|next|last)_(?:zero_)?bit',
  '_{0,4}(?:test|set|clear|change|test_and_set|test_and_clear)_bit',
  '(?:arch_)?(?:raw_)?atomic(?:64|_long)?_',
  'refcount_',
  '_{0,4}refcount_',
  'kref_(?:get|put)',
  '_{0,4}list_(?:add|del|splice|move|empty)',
  'hlist_(?:add|del|nulls)',
  '_{0,4}read_once|__read_once_size|__write_once',
  '_{0,4}stack_chk_fail',
  'kvm_fastop_exception',
];

const LOCKS = [
  '_{0,4}(?:raw_|do_raw_)?(?:spin|read|write)_(?:lock|trylock|unlock)',
  '(?:native_|pv_|__pv_)?queued_(?:spin|read|write)_',
  'pv_|__pv_|native_queued',
  'rwlock_bug|spin_(?:bug|dump)|debug_spin',
  'rt_(?:spin|read|write|mutex)_|__rt_mutex|rtlock_|rt_mutex',
  '_{0,4}mutex_(?:lock|trylock|unlock)|__mutex|__ww_mutex|ww_mutex',
  '(?:__)?down(?:$|_)|(?:__)?up(?:$|_)',
  'rwsem_|call_rwsem|percpu_(?:down|up|rwsem)|__percpu_|rwbase_',
  'lock_(?:acquire|release|is_held|contended|downgrade|set)',
  '_{0,4}lock_(?:acquire|release)|validate_chain|mark_(?:lock|usage|held)|register_lock|assign_lock_key|look_up_lock|reacquire_held|save_trace|valid_state|debug_check_no_locks',
  'seqlock_|seqcount_|do_write_seq|write_seq|read_seq',
  'local_bh_|_{0,4}local_bh|do_raw_',
  'osq_lock|mcs_spin|kernfs_(?:get|put)_active',
];

const ALLOCATORS = [
  '_{0,4}(?:do_)?(?:kv?|v|kz|kvz|vz|kc|kvc|dev|devm_k)(?:m|z)?alloc',
  'kmalloc|kzalloc|kcalloc|krealloc|__krealloc|kvrealloc|kmemdup|kstrdup|kstrndup|kmemleak|kasprintf|kvasprintf|vmemdup|memdup',
  '_{0,4}kmem_cache|kmem_|create_object|__kmalloc|__do_kmalloc|_{0,4}do_krealloc',
  '_{0,4}slab_|slab_|slub_|___slab|__slab|new_slab|allocate_slab|cache_(?:alloc|free|grow|flusharray)|_{0,4}cache_free|object_err|alloc_slab|check_(?:bytes|object|slab)|free_(?:consistency|debug)|alloc_(?:debug|consistency)',
  'k?v?free$|kfree|kvfree|kzfree|vfree|vunmap|__vunmap|__vfree|do_slab_free|free_to_partial|qlink|qlist|quarantine|per_cpu_remove_cache',
  '_{0,4}(?:alloc|free)_(?:pages|frozen|unref|one|zeroed|contig|pcp)|_{0,4}folio_alloc|get_page_from|get_free|__get_free|free_pages|__free_(?:pages|slab)|alloc_pages|prep_new_page|post_alloc|bad_page|free_page|free_pcp|check_(?:new|free)|rmqueue|__rmqueue|free_tail|__free_pages',
  'pcpu_|__alloc_percpu|alloc_percpu|free_percpu|mempool_|percpu_ref_init',
  'vmalloc|__vmalloc|kvmalloc|krealloc|stack_depot|set_track|save_stack|track_',
  'idr_|ida_|radix_tree_node_alloc|xas_(?:alloc|nomem)|mas_alloc|mt_alloc|maple_alloc',
];

const WAITS = [
  '_{0,4}(?:preempt_)?schedule(?:$|_)',
  '_{0,4}switch_to',
  'context_switch|__traceiter|finish_task_switch',
  'io_schedule',
  '(?:do_|__)?wait_for_common|__wait_for_common|wait_for_completion|wait_for_common',
  '_{0,4}(?:out_of_line_)?wait_on_bit|__wait_on_bit|bit_wait|out_of_line',
  'wait_on_page|__wait_on_page|folio_wait|__folio_lock|folio_lock|__lock_page|lock_page|wait_on_buffer|__wait_on_buffer|__lock_buffer|wait_on_commit',
  'wait_event|prepare_to_wait|finish_wait|wait_woken',
  'sleep_on_|do_nanosleep|usleep_range|msleep|schedule_timeout',
  'percpu_rwsem_wait|refcount_dec_and_(?:mutex|lock|rtnl)',
  'freezer_|__refrigerator|try_to_freeze',
  'sched_submit_work',
];

const STALL = [
  'apic_timer_interrupt|smp_apic|reschedule_interrupt|call_function|smp_call|on_each_cpu|csd_|__csd|generic_exec|arch_send|arch_trigger|nmi_|native_(?:send|smp|write|safe|irq)|kvm_(?:guest|wait)|pv_native',
  '(?:arch_|native_|__)?(?:cpu_relax|delay|const_udelay|udelay|ndelay|delay_tsc)|delay_|rep_nop',
  'rcu_(?:gp|nocb|boost|sched_clock|check|dump|cpu_stall|note|read_(?:lock|unlock)|is_watching|lockdep|dynticks|momentary|nmi|irq|preempt|lock)|__rcu_read|check_cpu_stall|print_(?:cpu_stall|other_cpu_stall)|synchronize_rcu_expedited_wait|panic_on_rcu|rcu_core|rcu_exp',
  'update_process_times|tick_|__hrtimer_run|hrtimer_interrupt|local_apic_timer|__sysvec|watchdog_|softlockup|__perf_event|perf_event_overflow|perf_event_nmi|intel_pmu|x86_pmu|default_do_nmi|do_nmi|end_repeat_nmi|hardlockup',
  'irqentry_|irq_exit|irq_enter|__irq_exit|invoke_softirq|do_softirq_own|handle_irq|handle_domain_irq|generic_handle|gic_|handle_percpu|call_on_(?:irq_)?stack|do_interrupt_handler|arch_timer|riscv_|timer_handler|retint_|ret_from_intr|common_interrupt|restore_|orc_|unwind_|arch_stack_walk|stack_trace|__unwind|in_gate|lock_timer|bpf_get_stack',
  '_{0,4}sanitizer|write_comp|__orc_find|check_kcov|kcov_|trace_|debug_lockdep|rcu_lockdep|arch_local|raw_local|arch_irqs|seqcount|lockref|check_wait|should_',
  'default_idle|arch_cpu_idle|acpi_(?:idle|safe)|cpuidle|call_cpuidle|cpu_startup|do_idle|intel_idle|mwait|pv_native_safe|arch_safe|cpu_idle|psci_|wait_for_interrupt',
];

const SKIP = {
  machinery: compile(MACHINERY),
  primitives: compile(PRIMITIVES),
  locks: compile(LOCKS),
  allocators: compile(ALLOCATORS),
  waits: compile(WAITS),
  stall: compile(STALL),
  rcu: compile(['rcu_|__rcu_|srcu_|__srcu']),
  usercopy: compile(['usercopy|__check|check_(?:heap|stack|page|object|bogus|kernel)']),
  odebug: compile([
    'debug_|__debug_|timer_|__timer|try_to_del_timer|del_timer|mod_timer|init_timer|hrtimer_|work_|__init_work|destroy_work|percpu_counter_|rcu_|call_rcu|kobject_|free_obj',
  ]),
  kobject: compile(['kobject_|kset_|sysfs_|kobj']),
  usb: compile(['usb_submit_urb|usb_start_wait_urb|usb_bulk_msg|usb_interrupt_msg|usb_control_msg|usb_internal']),
  proc: compile(['proc_|remove_proc|_{0,4}proc']),
};

/** Below these stands only how every stack begins; they name a failure only when nothing else is there. */
const BOTTOM =
  /^(?:do_syscall_|entry_SYSCALL|entry_SYSENTER|entry_INT80|do_int80|do_fast_syscall|__do_fast|do_SYSENTER|ret_from_|ret_to_|kthread$|el0t?_|invoke_syscall|do_el0|secondary_startup|start_secondary|x86_64_start|start_kernel|rest_init|ret_fast_syscall|system_call|syscall_|handle_syscall|exit_to_user_mode|cpu_startup_entry|do_idle)/;

/** The innermost frame that means something, or the innermost certain one when none does. */
export function chooseFunction(frames: readonly StackFrame[], skip: readonly SkipSet[]): string | undefined {
  const certain = frames.filter((frame) => frame.uncertain !== true);
  const sets = skip.map((name) => SKIP[name]);
  const telling = certain.find(
    ({ function: name }) => !BOTTOM.test(name) && !sets.some((expression) => expression.test(name)),
  );
  return telling?.function;
}

export function isSkipped(name: string, skip: readonly SkipSet[]): boolean {
  return skip.some((set) => SKIP[set].test(name));
}

function compile(names: readonly string[]): RegExp {
  return new RegExp(`^(?:${names.join('|')})`);
}

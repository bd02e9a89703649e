import type { StackFrame } from '../../finding.js';

/** Which functions say nothing about a failure. Names are matched from their start, and whole where `$` says so. */
export type SkipSet = keyof typeof SKIP;

const MACHINERY = [
  '_{0,4}dump_stack',
  'dump_(?:header|trace|backtrace)',
  'show_(?:stack|trace|regs)',
  'print_(?:address_description|report|trailer|section|page_info|memory|tainted|bad_pte|circular|deadlock|usage|irq|unlock|lock)',
  '_{0,4}kasan_',
  '_{0,4}asan_',
  'check_(?:memory_region|region_inline|unlock_deadlock|noncircular|prev|prevs|deadlock|preemption_disabled)',
  '_{0,4}hwasan_',
  'kmsan_',
  '_{0,4}msan_',
  'kcsan_',
  'poison_slab_object|check_(?:slab|page)_allocation|end_report|report_access$',
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
  'do_(?:invalid_op|general_protection|trap|undefinstr|divide_error|stack_segment|bounds|mem_abort|translation_fault|bad_area|kernel_fault|tag_|alignment_fault|sea$|bad$|sp_pc_abort|serror)',
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
  '*kasan|lockdep|panic|invalid_op|(?:walk|dump)_stack|debug_object|_is_static_object|(?:hard|soft)irqs?_o(?:n|ff)|imbalance_bug|bh_(?:en|dis)able|lock_class|program_check',
  'warn_(?:alloc|bogus|slowpath)|bad_stack|handle_bad_stack|arch_stack_walk|stack_trace_|owner_on_cpu|osq_unlock|raw_spin_rq|(?:do_)?trap$|\\w{1,40}_trap$',
];

const PRIMITIVES = [
  '_{0,4}mem(?:cpy|set|move|cmp|chr|scan|zero|chr_inv)',
  'str(?:len|nlen|cpy|ncpy|lcpy|scpy|cmp|ncmp|casecmp|ncasecmp|cat|ncat|lcat|chr|rchr|str|sep|dup|ndup|spn|pbrk|nchr)',
  'sized_strscpy',
  '_{0,4}(?:copy_(?:from|to)_user|copy_user|copy_in_user|raw_copy|clear_user|(?:get|put)_user(?:$|_(?:nocheck|bad|\\d))|asm_copy|arch_copy)',
  '_{0,1}copy_(?:from|to)_iter|instrument_',
  'rep_(?:movs|stos)|clear_page(?:$|_(?:erms|rep|orig))|copy_page$',
  '_?find_(?:first|next|last)_(?:zero_)?bit',
  '_{0,4}(?:test|set|clear|change|test_and_set|test_and_clear)_bit',
  '(?:arch_)?(?:raw_)?atomic(?:64|_long)?_(?!notifier|open|check|commit|flush)',
  'refcount_',
  '_{0,4}refcount_',
  'kref_(?:get|put)',
  '_{0,4}list_(?:add|del|splice|move|empty)',
  'hlist_(?:add|del|nulls)',
  '_{0,4}read_once|__read_once_size|__write_once',
  '_{0,4}stack_chk_fail',
  'kvm_fastop_exception',
  '*(?:read|write)_once_\\w*nocheck|read_word_at_a_time|_indirect_thunk_|ref_tracker|seqprop_assert|assertfail|assfail',
  '_{0,4}rb_(?:insert|erase|first|last|next|prev|replace|link|rotate|find|add|left|right)|list_replace|klist_|_{0,4}wake_up|complete$|copy(?:in|out)$|copy_(?:page|folio)_(?:to|from)_iter|crc\\d|crc_itu_t|rhashtable_lookup|_{0,4}phys_addr',
  '(?:read|write)[bwlq]$|logic_(?:in|out)|cleanup_srcu_struct|get_taint$|extract_(?:user|iter)_to_sg|memdup',
];

/** The way of a message to its consoles. */
const CONSOLES = ['v?printk|_printk|vprintk|console_|vprintk_|printk_|uart_console|serial8250_console|univ8250'];

/** Text for the log, and what puts it together. */
const PRINTING = [
  '*snprintf|printk|kv?asprintf|va_format|hex_dump|perf_trace',
  '(?:string(?:_nocheck)?|pointer|number|format_decode|\\w{1,20}_string)$',
  'dev_(?:info|notice|warn|err|alert|crit|emerg)|_dev_(?:info|notice|warn|err|alert|crit|emerg)',
];

/** Common code of objects, devices, inodes and deferred work: the failure is its caller's. */
const COMMON_CODE = [
  'kobject_|add_uevent_var|get_device_parent|device_(?:add$|del|unregister|destroy|release|for_each_child|remove_file)|devres_release_all|put_device$|sysfs_remove|tty_unregister_device',
  'hwrng_unregister|i2c_del_adapter|_{0,4}unregister_client|rollback_registered|unregister_netdev',
  'dummy_urb_enqueue|usb_(?:kill_urb|kill_anchored_urbs|control_msg|hcd_submit_urb|submit_urb)',
  '*flush_work|cancel_work_sync|_{0,4}cancel_work_timer|try_to_grab_pending|(?:flush|drain|destroy)_workqueue|queue_(?:delayed_)?work|insert_work|kthread_stop|del_timer|lock_timer_base|timer_delete_sync|_{0,4}mod_timer$|sk_stop_timer_sync',
  'iput(?:_final)?$|ihold$|drop_nlink|fast_dput|dput$|(?:un)?lock_page|xas_(?:start|load|find)|find_lock_entries|truncate_inode_pages_range|folio_unlock|filemap_alloc_folio|_{0,4}filemap_get_folio|find_or_create_page|do_read_cache_folio|read_cache_page|pagecache_get_page|grab_cache_page_write_begin|kfree_skb',
];

const LOCKS = [
  '_{0,4}(?:raw_|do_raw_)?(?:spin|read|write)_(?:lock|trylock|unlock)',
  '(?:native_|pv_|__pv_)?queued_(?:spin|read|write)_',
  'pv_|__pv_|native_queued',
  'rwlock_bug|spin_(?:bug|dump)|debug_spin',
  'rt_(?:spin|read|write|mutex)_|__rt_mutex|rtlock_|rt_mutex',
  '_{0,4}mutex_(?:lock|trylock|unlock)|__mutex|__ww_mutex|ww_mutex',
  '(?:__)?(?:down|up)(?:$|_(?:read|write|interruptible|killable|trylock|timeout|common))',
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
  '_{0,4}(?:alloc|free)_(?:pages|frozen|unref|one|zeroed|contig|pcp)|_{0,4}folio_alloc|prepare_alloc_pages|should_fail_alloc|get_page_from|get_free|__get_free|free_pages|__free_(?:pages|slab)|alloc_pages|prep_new_page|post_alloc|bad_page|free_page|free_pcp|check_(?:new|free)|rmqueue|__rmqueue|free_tail|__free_pages',
  'pcpu_|__alloc_percpu|alloc_percpu|free_percpu|mempool_|percpu_ref_init',
  'vmalloc|__vmalloc|kvmalloc|krealloc|stack_depot|set_track|save_stack',
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

/** In a hang whoever waits is a victim: what it was called for stands further out. */
const HANG = [
  '*wait|sched|_lock(?:$|_|ed)|_slowlock|rwsem|completion|kthread|synchronize_|context_switch|cancel_delayed_work|rcu_barrier|(?:^|_)down(?:$|_)',
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
  consoles: compile(CONSOLES),
  primitives: compile([...PRIMITIVES, ...PRINTING]),
  common: compile(COMMON_CODE),
  locks: compile(LOCKS),
  allocators: compile(ALLOCATORS),
  waits: compile(WAITS),
  hang: compile([...WAITS, ...HANG]),
  stall: compile(STALL),
  rcu: compile(['rcu_|__rcu_|srcu_|__srcu']),
  usercopy: compile(['usercopy|__check|check_(?:heap|stack|page|object|bogus|kernel)']),
  odebug: compile([
    'debug_|__debug_|timer_|__timer|try_to_del_timer|del_timer|mod_timer|init_timer|hrtimer_|work_|__init_work|destroy_work|percpu_counter_|rcu_|call_rcu|kobject_|free_obj',
  ]),
  kobject: compile(['kobject_|kset_|sysfs_|kobj']),
  usb: compile(['usb_submit_urb|usb_start_wait_urb|usb_bulk_msg|usb_interrupt_msg|usb_control_msg|usb_internal']),
  proc: compile(['proc_|remove_proc|_{0,4}proc']),
  sock: compile(['lock_sock|_{0,4}lock_sock|release_sock']),
  skb: compile(['skb_']),
  // Who allocated it, not by which of the many ways.
  leak: compile(['*kmemleak|mmap|kmem|slab|alloc|create_object|idr_get|list_lru_init|pcpu_create|str(?:n)?dup']),
  pages: compile([
    '*(?:free|put|get|update|release)_page|free_unref|truncate_inode_pages|page_frag_free|alloc|vmap|page_owner',
    '_{0,4}folio',
  ]),
  preempt: compile(['*preempt|debug_|processor_id|this_cpu']),
  // A lock that stands for a piece of work: the failure lies with who waits for it.
  workqueue: compile(['process_one_work|flush_workqueue|drain_workqueue|destroy_workqueue']),
  crypto: compile(['*_encrypt$|alloc_skb', 'netlink_(?:ack|rcv_skb)|crypto_|cipher_|drbg_|rng_']),
};

/** Below these stands only how every stack begins; they name a failure only when nothing else is there. */
const BOTTOM =
  /^(?:do_syscall_|entry_SYSCALL|entry_SYSENTER|entry_INT80|do_int80|do_fast_syscall|__do_fast|do_SYSENTER|ret_from_|ret_to_|kthread$|el0t?_|invoke_syscall|do_el0|secondary_startup|start_secondary|x86_64_start|start_kernel|rest_init|ret_fast_syscall|system_call|syscall_|handle_syscall|exit_to_user_mode|cpu_startup_entry|do_idle)/;

/** The innermost frame that means something, or the innermost certain one when none does. */
export function chooseFunction(frames: readonly StackFrame[], skip: readonly SkipSet[]): string | undefined {
  const certain = frames.filter(isCertain);
  const sets = skip.map((name) => SKIP[name]);
  const telling = certain.find(
    ({ function: name }) => !BOTTOM.test(name) && !sets.some((expression) => expression.test(name)),
  );
  return telling === undefined ? undefined : syscallName(telling.function);
}

/**
 * The wrappers that each architecture puts around a system call are the same function to whoever reads, and so to a
 * signature. What a `SYSCALL_DEFINE` holds since 4.17 keeps its name, `__do_sys_NAME`: it is no wrapper.
 */
export function syscallName(name: string): string {
  return name
    .replace(/^(?:compat_)?(?:SyS|SYSC)_(?=\w)/, '')
    .replace(/^__(?:x64|ia32|arm64|riscv|s390x?|powerpc|se)_(?=(?:compat_)?sys_)/, '');
}

/** Printed as a frame of the stack beyond doubt, in any log of the same failure. */
export function isCertain({ uncertain, inline }: StackFrame): boolean {
  return uncertain !== true && inline !== true;
}

export function isSkipped(name: string, skip: readonly SkipSet[]): boolean {
  return skip.some((set) => SKIP[set].test(name));
}

/** Names are matched from their start; those of an entry with a `*` before it anywhere. */
function compile(names: readonly string[]): RegExp {
  const anywhere = names.filter((name) => name.startsWith('*')).map((name) => name.slice(1));
  const start = names.filter((name) => !name.startsWith('*'));
  return new RegExp([...(start.length === 0 ? [] : [`^(?:${start.join('|')})`]), ...anywhere].join('|'));
}

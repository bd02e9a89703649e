import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

/**
 * Since 6.19 `WARNING: FILE:LINE at FUNC+0x1/0x2, CPU#1: COMM/PID`; before `WARNING: CPU: 1 PID: 2 at FILE:LINE FUNC+0x1/0x2`.
 * 2.6.18 wrote `BUG: warning at FILE:LINE/FUNC()`.
 */
const warning = (file: string, functions: string) =>
  new RegExp(
    [
      '^(?:WARNING: |BUG: warning )(?:\\[.{0,200}?\\] )?(?:CPU: (?<cpu>\\d+) PID: (?<pid>\\d+) )?(?:at )?',
      `(?<file>${file}):(?<line>\\d{1,6})(?: |/)(?:at )?`,
      `(?<function>${functions})(?:\\+0x[0-9a-f]+/0x[0-9a-f]+)?(?: \\[\\w+[^\\]]{0,64}\\])?`,
      '(?:, CPU#(?<cpu2>\\d+): (?<comm>.{1,64})/(?<pid2>\\d+))?',
    ].join(''),
  );
const WARN = { severity: 'warning', literals: ['WARNING: ', 'BUG: warning at '], from: 'header' } as const;

/** kernel/panic.c and the files that warn by it; a warning of a known file has a title of its own. arch/x86/kernel/unwind_*.c */
export const WARNINGS: readonly Rule[] = [
  {
    ...WARN,
    kind: 'refcount',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?lib/refcount\\.c', 'refcount_\\w+'),
    title: 'WARNING: refcount bug in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'kobject'],
    continues: ['refcount'],
  },
  {
    ...WARN,
    kind: 'odebug',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?lib/debugobjects\\.c', '[\\w.]+'),
    title: 'WARNING: ODEBUG bug in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'odebug'],
    continues: ['odebug'],
  },
  {
    ...WARN,
    kind: 'list-corruption',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?lib/list_debug\\.c', '[\\w.]+'),
    title: 'BUG: corrupted list in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
    continues: ['list-corruption'],
  },
  {
    ...WARN,
    kind: 'usercopy',
    pattern: warning('(?:[\\w./-]*/)?mm/usercopy\\.c', 'usercopy_\\w+'),
    title: 'WARNING: bad usercopy in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'usercopy'],
  },
  {
    // The hard lockup detector of 2.6.38 to 3.x; the words that name the CPU follow.
    ...WARN,
    kind: 'hard-lockup',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?kernel/watchdog\\.c', 'watchdog_overflow_callback'),
    title: 'BUG: hard lockup in {function}',
    from: 'pc',
    skip: [...COMMON_SKIP, 'stall'],
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('(?:[\\w./-]*/)?lib/kobject\\.c', 'kobject_\\w+'),
    title: 'WARNING: kobject bug in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'kobject'],
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('(?:[\\w./-]*/)?fs/proc/generic\\.c', '_{0,2}proc_register'),
    title: 'WARNING: proc registration bug in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'proc'],
  },
  {
    ...WARN,
    kind: 'lock-state',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?kernel/locking/lockdep\\.c', '[\\w.]+'),
    title: 'WARNING: locking bug in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'sock'],
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('(?:[\\w./-]*/)?mm/vmalloc\\.c', '__vmalloc_node\\w*'),
    title: 'WARNING: zero-size vmalloc in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('(?:[\\w./-]*/)?mm/[\\w./-]{1,64}\\.c', '_{0,3}(?:do_)?k?[vz]?malloc\\w*'),
    title: 'WARNING: kmalloc bug in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('[\\w./-]{1,128}', 'usb_submit_urb'),
    title: 'WARNING in {function}/usb_submit_urb',
    from: 'trace',
    skip: [...COMMON_SKIP, 'usb'],
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('(?:[\\w./-]*/)?mm/page_alloc\\.c', '__alloc_frozen_pages\\w*'),
    title: 'WARNING in {function}',
    skip: [],
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('[\\w./+-]{1,128}', '(?!0x[0-9a-f]{6})[^\\s+\\[\\],()]{1,128}'),
    title: 'WARNING in {function}',
    skip: COMMON_SKIP,
    continues: ['refcount', 'odebug', 'list-corruption', 'busy-inodes'],
  },
  {
    ...WARN,
    kind: 'warning',
    // Older arm64 and powerpc kernels name the function below only.
    pattern:
      /^WARNING: (?:CPU: (?<cpu>\d+) PID: (?<pid>\d+) )?at (?:[0-9a-fx]{4,20}|[\w./+-]{1,128}:\d{1,6}(?:\s|$))|^WARNING: CPU: \d+ PID: \d+ /,
    title: 'WARNING in {function}',
    from: 'pc',
    skip: COMMON_SKIP,
    continues: ['oops'],
  },
  {
    kind: 'warning',
    severity: 'warning',
    literals: ['WARNING: '],
    pattern: /^WARNING: kernel stack (?<what>regs|frame pointer) at .{1,80} has bad (?<which>'\w{1,8}' )?value/,
    title: 'WARNING: kernel stack {what} has bad {which} value',
    from: 'none',
    single: true,
  },
  {
    kind: 'warning',
    severity: 'warning',
    literals: ['WARNING: '],
    pattern:
      /^WARNING: (?<what>stack going in the wrong direction\?|can't (?:access|dereference) registers|stack recursion)(?: at (?:0x)?[0-9a-f]{4,16} for ip)?(?: (?:at|in) (?<function>[A-Za-z_$.][^\s+]{0,200})(?:\+0x[0-9a-f]+\/0x[0-9a-f]+)?| on stack type \d+)?/,
    title: 'WARNING: {what} in {function}',
    from: 'header',
    single: true,
    vague: true,
  },
  {
    // fs/sysfs/dir.c: a stack follows; before 4.16 a WARNING came first.
    kind: 'warning',
    severity: 'warning',
    literals: ['cannot create duplicate filename'],
    pattern: /^sysfs: cannot create duplicate filename '[^']{1,256}'/,
    title: 'sysfs: cannot create duplicate filename in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'kobject'],
    continues: ['warning'],
  },
  {
    // arch/x86/mm/extable.c
    kind: 'warning',
    severity: 'warning',
    literals: ['unchecked MSR access error'],
    pattern: /^unchecked MSR access error: (?<what>RDMSR from|WRMSR to) (?<msr>0x[0-9a-f]{1,8}) /,
    title: 'unchecked MSR access error: {what} {msr} in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
  },
];

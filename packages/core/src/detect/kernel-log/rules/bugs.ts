import type { SkipSet } from '../stacks/skip-sets.js';
import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

const SOURCE = '(?<file>[\\w./-]{1,128}):(?<line>\\d{1,6})';
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
const WARN_SKIP: readonly SkipSet[] = COMMON_SKIP;
const WARN = { severity: 'warning', literals: ['WARNING: ', 'BUG: warning at '], from: 'header' } as const;

/** kernel/panic.c, lib/bug.c, lib/list_debug.c, lib/refcount.c, lib/debugobjects.c, mm/usercopy.c, mm/page_alloc.c, mm/memory.c, mm/slub.c */
export const BUGS: readonly Rule[] = [
  {
    kind: 'usercopy',
    severity: 'error',
    literals: ['usercopy: ', 'mm/usercopy.c'],
    pattern:
      /^(?:usercopy: Kernel memory (?:exposure|overwrite) attempt detected|kernel BUG at (?:[\w./-]*\/)?mm\/usercopy\.c)/,
    title: 'BUG: bad usercopy in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'usercopy'],
    continues: ['usercopy'],
    fatal: true,
  },
  {
    kind: 'list-corruption',
    severity: 'error',
    literals: ['list_add ', 'list_del ', 'list_add_', 'list_del_', 'slist', 'lib/list_debug.c'],
    pattern:
      /^(?:list_(?:add|del)(?:_rcu)?(?: double add| corruption)?[:.,]|kernel BUG at (?:[\w./-]*\/)?lib\/list_debug\.c|plist_\w+ corruption)/,
    title: 'BUG: corrupted list in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
    continues: ['list-corruption'],
    fatal: true,
  },
  {
    kind: 'bug',
    severity: 'error',
    literals: ['ernel BUG', 'ernel bug detected'],
    pattern: new RegExp(
      `^[Kk]ernel (?:BUG|bug) (?:detected ?\\[#\\d+\\]|at ${SOURCE}|\\[#\\d+\\]|at [\\w.]{1,200}(?:\\+0x[0-9a-f]+/0x[0-9a-f]+)?(?:!| \\[|$))`,
    ),
    title: 'kernel BUG in {function}',
    from: 'pc',
    skip: [...COMMON_SKIP, 'skb'],
    continues: ['list-corruption', 'usercopy', 'slab-corruption', 'rust-panic', 'bug', 'kasan', 'busy-inodes'],
    fatal: true,
  },
  {
    kind: 'refcount',
    severity: 'error',
    literals: ['refcount_t: '],
    pattern: /^refcount_t: (?:underflow|addition on 0|saturated|decrement hit 0|hit zero|increment on 0)/,
    title: 'WARNING: refcount bug in {function}',
    from: 'trace',
    skip: [...WARN_SKIP, 'kobject'],
  },
  {
    kind: 'odebug',
    severity: 'error',
    literals: ['ODEBUG: '],
    pattern:
      /^ODEBUG: (?!Out of memory|selftest|[\d ]+of )\w[\w ]{0,64}\(active state|^ODEBUG: \w[\w ]{0,32} object type: /,
    title: 'WARNING: ODEBUG bug in {function}',
    from: 'trace',
    skip: [...WARN_SKIP, 'odebug'],
  },
  {
    ...WARN,
    kind: 'refcount',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?lib/refcount\\.c', 'refcount_\\w+'),
    title: 'WARNING: refcount bug in {function}',
    from: 'trace',
    skip: [...WARN_SKIP, 'kobject'],
    continues: ['refcount'],
  },
  {
    ...WARN,
    kind: 'odebug',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?lib/debugobjects\\.c', '[\\w.]+'),
    title: 'WARNING: ODEBUG bug in {function}',
    from: 'trace',
    skip: [...WARN_SKIP, 'odebug'],
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
    skip: [...WARN_SKIP, 'kobject'],
  },
  {
    ...WARN,
    kind: 'warning',
    pattern: warning('(?:[\\w./-]*/)?fs/proc/generic\\.c', '_{0,2}proc_register'),
    title: 'WARNING: proc registration bug in {function}',
    from: 'trace',
    skip: [...WARN_SKIP, 'proc'],
  },
  {
    ...WARN,
    kind: 'lock-state',
    severity: 'error',
    pattern: warning('(?:[\\w./-]*/)?kernel/locking/lockdep\\.c', '[\\w.]+'),
    title: 'WARNING: locking bug in {function}',
    from: 'trace',
    skip: [...WARN_SKIP, 'sock'],
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
    skip: [...WARN_SKIP, 'usb'],
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
    skip: WARN_SKIP,
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
    skip: WARN_SKIP,
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
    kind: 'bad-page',
    severity: 'error',
    literals: ['BUG: Bad page'],
    pattern: /^BUG: (?<what>Bad page (?:state|cache))(?: in process (?<comm>.{1,64}) {1,4}pfn:)?/,
    title: 'BUG: {what} in {function}',
    from: 'allocated',
    skip: [...COMMON_SKIP, 'pages'],
    patience: 24,
  },
  {
    kind: 'bad-page',
    severity: 'error',
    literals: ['BUG: Bad '],
    pattern: /^BUG: (?<what>Bad page map|Bad swap file entry)(?: in process (?<comm>.{1,64}) {1,4}(?:pfn|pte|pmd):)?/,
    title: 'BUG: {what}',
    from: 'none',
  },
  {
    kind: 'bad-page',
    severity: 'error',
    literals: ['BUG: Bad rss', 'BUG: non-zero '],
    pattern: /^BUG: (?<what>Bad rss-counter state|non-zero (?:nr_ptes|nr_pmds|pgtables_bytes) on freeing mm)/,
    title: 'BUG: {what}',
    from: 'none',
    // One look at the books of a dying process: a line for each counter that is off.
    continues: ['bad-page'],
    follows: true,
  },
  {
    kind: 'slab-corruption',
    severity: 'error',
    literals: ['BUG '],
    pattern:
      /^BUG (?<cache>[\w:.()/-]{1,64}) ?\((?:Not tainted|Tainted: [^)]{1,40})[^)]{0,20}\)[\t ]?: (?<what>[A-Z][\w ]{2,60}\w)/,
    title: 'BUG: {what}',
    from: 'none',
  },
  {
    kind: 'slab-corruption',
    severity: 'error',
    literals: ['Slab corruption', 'Slab error in'],
    pattern: /^(?:Slab corruption|slab error in|Slab error in)/i,
    title: 'BUG: slab corruption in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
  },
  {
    kind: 'rust-panic',
    severity: 'error',
    literals: ['rust_kernel: panicked at '],
    pattern: /^rust_kernel: panicked at (?:'[^']{0,256}', )?[\w./-]{1,200}:\d+(?::\d+)?:?/,
    title: 'rust panic in {function}',
    from: 'pc',
    skip: COMMON_SKIP,
    fatal: true,
  },
  {
    kind: 'rust-panic',
    severity: 'error',
    literals: ['panicked at '],
    pattern: /^(?:rust_kernel|[\w-]{1,64}): panicked at (?:'[^']{0,256}', )?[\w./-]{1,200}:\d+(?::\d+)?:?/,
    title: 'rust panic in {function}',
    from: 'pc',
    skip: COMMON_SKIP,
    vague: true,
    fatal: true,
  },
];

/** What the kernel itself calls a bug and no other rule knows. */
export const ANY_BUG: Rule = {
  kind: 'bug',
  severity: 'error',
  literals: ['BUG: '],
  // Healthy machines with unequal cores print the first, kernel/sched/topology.c.
  pattern: /^BUG: (?!arch topology borken)(?<what>[A-Za-z][^\n]{3,120})/,
  title: 'BUG: {what}',
  from: 'none',
  vague: true,
  general: true,
};

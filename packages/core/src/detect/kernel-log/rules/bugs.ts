import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

const SOURCE = '(?<file>[\\w./-]{1,128}):(?<line>\\d{1,6})';
/** lib/bug.c, lib/list_debug.c, lib/refcount.c, lib/debugobjects.c, mm/usercopy.c: all but their `WARNING:` lines */
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
    skip: [...COMMON_SKIP, 'kobject'],
  },
  {
    kind: 'odebug',
    severity: 'error',
    literals: ['ODEBUG: '],
    pattern:
      /^ODEBUG: (?!Out of memory|selftest|[\d ]+of )\w[\w ]{0,64}\(active state|^ODEBUG: \w[\w ]{0,32} object type: /,
    title: 'WARNING: ODEBUG bug in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'odebug'],
  },
];

/** Any line that the kernel itself calls a bug and that no other rule matches. */
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

import type { SkipSet } from '../stacks/skip-sets.js';
import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

/** Lockdep heads its reports `WARNING:`; before 4.14 `[ INFO: ... ]`, some `[ BUG: ... ]`. */
const HEAD = '^(?:\\[ )?(?:WARNING|INFO|BUG): ';
/** Elsewhere a console's frames only print the report; here its lock may be the one that is held, and names the failure. */
const LOCK_SKIP: readonly SkipSet[] = COMMON_SKIP.filter((name) => name !== 'consoles');
const DEPENDENCY = { severity: 'error', from: 'lock', skip: LOCK_SKIP, patience: 60 } as const;

/** kernel/locking/lockdep.c, kernel/sched/core.c, lib/smp_processor_id.c, kernel/workqueue.c */
export const LOCKING: readonly Rule[] = [
  {
    ...DEPENDENCY,
    kind: 'deadlock',
    literals: ['possible circular', 'possible recursive', 'possible irq lock'],
    pattern: new RegExp(
      `${HEAD}possible (?:circular locking dependency|recursive locking|irq lock inversion dependency) detected`,
    ),
    title: 'possible deadlock in {function}',
    skip: [...LOCK_SKIP, 'workqueue'],
  },
  {
    ...DEPENDENCY,
    kind: 'deadlock',
    literals: ['lock order detected'],
    pattern: new RegExp(`${HEAD}(?:possible )?[\\w-]{1,20}-safe -> [\\w-]{1,20}-unsafe lock order detected`),
    title: 'possible deadlock in {function}',
    from: 'became',
  },
  {
    ...DEPENDENCY,
    kind: 'lock-state',
    literals: ['inconsistent lock state', 'inconsistent {'],
    pattern: new RegExp(`${HEAD}inconsistent lock state`),
    title: 'inconsistent lock state in {function}',
    from: 'last-trace',
  },
  {
    ...DEPENDENCY,
    kind: 'lock-state',
    literals: ['nvalid wait context'],
    pattern: new RegExp(`${HEAD}Invalid wait context`, 'i'),
    title: 'WARNING: locking bug in {function}',
    from: 'last-trace',
    skip: [...LOCK_SKIP, 'sock'],
  },
  {
    kind: 'lock-state',
    severity: 'error',
    literals: ['bad unlock balance', 'bad contention detected'],
    pattern: /^(?:\[ )?(?<head>WARNING|BUG): bad unlock balance detected/,
    title: '{head}: bad unlock balance in {function}',
    from: 'first-frame',
    skip: LOCK_SKIP,
    patience: 30,
  },
  {
    kind: 'lock-state',
    severity: 'error',
    literals: ['held lock freed'],
    pattern: /^(?:\[ )?(?<head>WARNING|BUG): held lock freed/,
    title: '{head}: held lock freed in {function}',
    from: 'lock',
    skip: LOCK_SKIP,
    patience: 30,
  },
  {
    kind: 'lock-state',
    severity: 'error',
    literals: ['ested lock was not taken'],
    pattern: /^(?:\[ )?(?<head>WARNING|BUG): Nested lock was not taken/i,
    title: '{head}: nested lock was not taken in {function}',
    from: 'trace',
    skip: LOCK_SKIP,
    patience: 30,
  },
  {
    kind: 'rcu-usage',
    severity: 'error',
    literals: ['uspicious RCU usage', 'uspicious rcu_'],
    pattern: /^(?:\[ )?(?<head>WARNING|INFO): suspicious RCU usage/,
    title: '{head}: suspicious RCU usage in {function}',
    from: 'last-trace',
    skip: [...COMMON_SKIP, 'rcu', 'leak'],
    patience: 30,
  },
  {
    kind: 'lock-held',
    severity: 'error',
    literals: [
      'lock held when returning to user space',
      'lock held at task exit',
      'still has locks held',
      'still held',
    ],
    pattern:
      /^(?:\[ )?(?<head>WARNING|BUG): (?:.{1,64} )?(?<what>lock held when returning to user space|lock held at task exit time|still has locks held)/,
    title: '{head}: {what} in {function}',
    from: 'lock',
    skip: LOCK_SKIP,
    patience: 20,
  },
  {
    kind: 'lock-state',
    severity: 'error',
    literals: ['non-static key'],
    pattern: /^INFO: trying to register non-static key/,
    title: 'INFO: trying to register non-static key in {function}',
    from: 'trace',
    skip: LOCK_SKIP,
  },
  {
    kind: 'bug',
    severity: 'error',
    literals: ['BUG: MAX_'],
    pattern: /^BUG: (?<what>MAX_(?:LOCKDEP|LOCK|STACK)_[A-Z_]{3,32} too low!)/,
    title: 'BUG: {what}',
    from: 'none',
  },
  {
    kind: 'atomic-sleep',
    severity: 'error',
    literals: ['BUG: sleeping function called'],
    pattern: /^BUG: sleeping function called from invalid context(?: at [\w./-]{1,200}:\d+)?/,
    title: 'BUG: sleeping function called from invalid context in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
    patience: 16,
  },
  {
    kind: 'atomic-sleep',
    severity: 'error',
    literals: ['BUG: scheduling while atomic', 'scheduling in atomic context'],
    pattern: /^(?:BUG: )?scheduling (?:while|in) atomic(?: context)?: (?<comm>.{1,64})\/(?<pid>\d{1,10})\/0x[0-9a-f]+/,
    title: 'BUG: scheduling while atomic in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'waits'],
    patience: 16,
  },
  {
    kind: 'atomic-sleep',
    severity: 'error',
    literals: [' in preemptible '],
    pattern:
      /^BUG: using (?<what>[a-z_]{1,40}\(\)) in preemptible \[[0-9a-f]+\] code: (?<comm>.{1,64})\/(?<pid>\d{1,10})/,
    title: 'BUG: using {what} in preemptible code in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'preempt'],
  },
  {
    kind: 'atomic-sleep',
    severity: 'error',
    literals: ['BUG: workqueue leaked'],
    pattern:
      /^BUG: workqueue leaked (?:lock or atomic|atomic, lock or RCU): (?<comm>.{1,64}?)(?:\/0x[0-9a-f]+\/|\[)(?<pid>\d+)(?: {1,8}last function: (?<function>[\w.]+))?/,
    title: 'BUG: workqueue leaked lock or atomic in {function}',
    from: 'header',
    patience: 16,
  },
];

import { union } from '../../union.js';
import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

const PREFIX = '^(?:(?:rcu|watchdog|NMI watchdog|Watchdog|hung_task|khungtaskd):? ){0,2}';

/** kernel/hung_task.c, kernel/rcu/tree_stall.h, kernel/rcu/tree_exp.h, kernel/rcu/tasks.h, kernel/watchdog.c, kernel/workqueue.c */
export const STALLS: readonly Rule[] = [
  {
    kind: 'hung-task',
    severity: 'error',
    literals: ['INFO: task '],
    pattern: new RegExp(
      `${PREFIX}INFO: task (?<comm>.{1,64}):(?<pid>\\d{1,10}) (?:<[^>]{1,64}> )?(?:is )?blocked (?:in I/O wait )?for more than \\d+ seconds`,
    ),
    title: 'INFO: task hung in {function}',
    from: 'hang',
    skip: [...COMMON_SKIP, 'hang'],
  },
  {
    kind: 'task-cannot-die',
    severity: 'error',
    literals: ['INFO: task '],
    pattern: new RegExp(`${PREFIX}INFO: task (?<comm>.{1,64}):(?<pid>\\d{1,10}) can't die for more than \\d+ seconds`),
    title: "INFO: task can't die in {function}",
    from: 'trace',
    skip: [...COMMON_SKIP, 'waits'],
  },
  {
    kind: 'rcu-stall',
    severity: 'error',
    literals: ['INFO: rcu', 'INFO: RCU detected CPU'],
    pattern: new RegExp(
      `${PREFIX}INFO: ${union([
        'rcu_\\w{1,32} (?:self-)?detected(?: expedited)? stalls?',
        'rcu_tasks\\w{0,32} detected stalls',
        // 2.6
        'RCU detected CPU (?:\\d+ stall|stalls)',
      ])}`,
    ),
    title: 'INFO: rcu detected stall in {function}',
    from: 'stall',
    skip: [...COMMON_SKIP, 'stall', 'waits'],
    patience: 24,
  },
  {
    kind: 'soft-lockup',
    severity: 'error',
    literals: ['soft lockup'],
    pattern: new RegExp(
      `${PREFIX}BUG: soft lockup(?: detected)?[ !-]{1,4}(?:CPU#(?<cpu>\\d+) stuck for \\d+s!(?: \\[(?<comm>.{1,64}):(?<pid>\\d{1,10})\\])?)?`,
    ),
    title: 'BUG: soft lockup in {function}',
    from: 'stall',
    skip: [...COMMON_SKIP, 'stall'],
  },
  {
    kind: 'hard-lockup',
    severity: 'error',
    literals: ['LOCKUP', 'hard lockup'],
    pattern: new RegExp(
      `${PREFIX}${union([
        '(?:CPU ?(?<self>\\d+): )?(?:Watchdog )?detected hard LOCKUP on cpu (?<cpu>\\d+)',
        '(?:BUG: )?hard lockup',
        // arch/powerpc/kernel/watchdog.c, the oldest first
        'CPU:(?<cpu2>\\d+) (?:detected )?Hard LOCKUP',
        'CPU \\d+ (?:(?:self-)?detected )?hard LOCKUP(?: @ (?<function>[A-Za-z_$.][^\\s+]{0,200}))?',
        // 2.6
        '(?:BUG: )?NMI Watchdog detected LOCKUP on CPU ?\\d+',
      ])}`,
      'i',
    ),
    title: 'BUG: hard lockup in {function}',
    from: 'pc',
    skip: [...COMMON_SKIP, 'stall'],
    continues: ['hard-lockup'],
  },
  {
    kind: 'workqueue-lockup',
    severity: 'error',
    literals: ['BUG: workqueue lockup'],
    pattern: new RegExp(`${PREFIX}BUG: workqueue lockup - pool(?: cpus=(?<cpu>\\d+))?`),
    title: 'BUG: workqueue lockup',
    from: 'none',
    // A line for each stalled pool, then what all of them hold.
    continues: ['workqueue-lockup'],
    follows: true,
  },
  {
    kind: 'spinlock',
    severity: 'error',
    literals: ['BUG: spinlock ', 'BUG: rwlock '],
    pattern:
      /^BUG: (?<lock>spinlock|rwlock) (?<what>lockup suspected|cpu recursion|already unlocked|recursion|bad magic|wrong owner|wrong CPU|trylock failure on UP|lockup)(?: on CPU#(?<cpu>\d+), (?<comm>.{1,64})\/(?<pid>\d{1,10}))?/,
    title: 'BUG: {lock} {what} in {function}',
    from: 'trace',
    skip: COMMON_SKIP,
  },
  {
    kind: 'rcu-stall',
    severity: 'error',
    literals: ['kthread starved for'],
    pattern: /^(?:rcu: )?rcu_\w{1,32} kthread starved for \d+ jiffies!/,
    title: 'INFO: rcu detected stall in {function}',
    from: 'stall',
    skip: [...COMMON_SKIP, 'stall', 'waits'],
    continues: ['rcu-stall'],
    follows: true,
  },
];

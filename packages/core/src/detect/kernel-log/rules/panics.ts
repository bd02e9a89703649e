import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

const PANIC = '^Kernel panic - not syncing: ';
const PANIC_RULE = {
  kind: 'kernel-panic',
  severity: 'error',
  literals: ['Kernel panic - not syncing'],
  fatal: true,
} as const;

/** kernel/panic.c and its callers. */
export const PANICS: readonly Rule[] = [
  {
    ...PANIC_RULE,
    pattern: new RegExp(
      `${PANIC}(?<message>stack-protector: Kernel stack is corrupted in: (?:[0-9a-f]{8,16}$|(?<function>[^\\s+]{1,200})).{0,80})`,
    ),
    title: 'kernel panic: stack is corrupted in {function}',
    from: 'header',
    skip: COMMON_SKIP,
  },
  {
    ...PANIC_RULE,
    pattern: new RegExp(`${PANIC}(?<message>corrupted stack end detected inside scheduler)`),
    title: 'kernel panic: corrupted stack end in {function}',
    from: 'stall',
    skip: [...COMMON_SKIP, 'stall', 'waits'],
  },
  {
    ...PANIC_RULE,
    pattern: new RegExp(`${PANIC}(?<message>kernel stack overflow)`),
    title: 'kernel stack overflow in {function}',
    from: 'stall',
    skip: COMMON_SKIP,
    secondary: 'perhaps',
  },
  {
    ...PANIC_RULE,
    pattern: new RegExp(`${PANIC}(?<message>Couldn't open N_TTY ldisc).{0,200}`),
    title: "kernel panic: Couldn't open N_TTY ldisc",
    from: 'none',
  },
  {
    ...PANIC_RULE,
    pattern: new RegExp(`${PANIC}(?<message>Attempted to kill init!).{0,200}`),
    title: 'kernel panic: Attempted to kill init!',
    from: 'none',
    secondary: 'of-init',
  },
  {
    ...PANIC_RULE,
    pattern: new RegExp(
      `${PANIC}(?<message>(?:Fatal exception|Oops|(?:[A-Za-z_]{1,40}: )?panic_on_\\w{1,32} set|hung_task: blocked tasks|softlockup: hung tasks|RCU Stall|rcu_\\w{1,32}: stall|Hard LOCKUP|Attempted to kill the idle task|Aiee, killing interrupt handler|Fatal error|workqueue: panic|panic_on_|Asynchronous SError Interrupt|BUG!|kernel: panic_on_warn|nmi_panic|fatal exception|Unrecoverable|unrecoverable)[^\\n]{0,200}?) ?(?:\\.\\.\\.)?$`,
    ),
    title: 'kernel panic: {message}',
    from: 'none',
    secondary: 'always',
  },
  {
    ...PANIC_RULE,
    pattern: new RegExp(`${PANIC}(?<message>.{0,200})`),
    title: 'kernel panic: {message}',
    from: 'none',
  },
];

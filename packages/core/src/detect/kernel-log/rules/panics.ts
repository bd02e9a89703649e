import { union } from '../../union.js';
import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

/** Linux up to 2.6.8 does not say "not syncing" in that line. */
const PANIC = '^Kernel panic(?: - not syncing)?: ';
const PANIC_RULE = {
  kind: 'kernel-panic',
  severity: 'error',
  literals: ['Kernel panic - not syncing', 'Kernel panic: '],
  fatal: true,
} as const;
/** Reasons of old kernels; without a prefix, any other text behind `Kernel panic: ` may be anybody's. */
const OLD_REASON = union([
  '(?:VFS|EXT\\d|EXT\\d-fs|XFS|JFS|ReiserFS|IO-APIC|MCE)\\b',
  'No init found',
  'I have no root',
  'CPU context corrupt',
  'Unable to (?:continue|mount|handle|map|allocate|find|create)',
  'Machine check',
  'Out of memory',
  '(?:Cannot|Can.t|Couldn.t|Could not) (?:allocate|create|find|initialize|open|mount|map|register|set)',
  'for safety',
  'sk(?:b_over|b_under|put)',
]);

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
    pattern: new RegExp(`^Kernel panic(?: - not syncing: |: (?=${OLD_REASON}))(?<message>.{0,200})`, 'i'),
    title: 'kernel panic: {message}',
    from: 'none',
  },
  {
    ...PANIC_RULE,
    literals: ['Kernel panic: '],
    pattern: /^Kernel panic: (?<message>\S.{0,200})/,
    title: 'kernel panic: {message}',
    from: 'none',
    vague: true,
    rare: true,
  },
  {
    ...PANIC_RULE,
    literals: ['Panic on CPU '],
    pattern: /^Panic on CPU (?<cpu>\d{1,5}):/,
    // Xen's xen/drivers/char/console.c: the reason is on the next line.
    also: /^(?<message>[A-Za-z].{0,199})/,
    title: 'Xen panic: {message}',
    from: 'none',
    vague: true,
    rare: true,
  },
];

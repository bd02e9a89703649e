import type { SkipSet } from '../stacks/skip-sets.js';
import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

const MEMORY_SKIP: readonly SkipSet[] = [...COMMON_SKIP, 'completions'];
const FUNCTION = '(?<function>[^\\s+\\[\\]]{1,200})(?:\\+0x[0-9a-f]+/0x[0-9a-f]+)?';

/** Messages of `report_ubsan_failure()` of lib/ubsan.c, and the name of each in a complete report. */
const TRAPPED_CHECKS = [
  ['array index out of bounds', 'array-index-out-of-bounds'],
  ['shift out of bounds', 'shift-out-of-bounds'],
  ['divide/remainder overflow', 'division-overflow'],
  ['integer \\w{3,16} overflow', 'signed-integer-overflow'],
  ['loading invalid value', 'invalid-load'],
  ['alignment assumption', 'alignment-assumption'],
  ['type mismatch', 'type-mismatch'],
  ['[a-z][a-z/ ]{1,40}', 'undefined-behaviour'],
] as const;

/** mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c, lib/ubsan.c */
export const SANITIZERS: readonly Rule[] = [
  {
    kind: 'kasan',
    severity: 'error',
    literals: ['BUG: KASAN: '],
    // The field has one title for both: which of the two it is, the kernel cannot always tell.
    pattern: new RegExp(`^BUG: KASAN: (?:double-free or invalid-free|double-free|invalid-free) in ${FUNCTION}`),
    title: 'KASAN: invalid-free in {function}',
    from: 'header',
    skip: MEMORY_SKIP,
    continues: ['kasan'],
    patience: 40,
  },
  {
    kind: 'kasan',
    severity: 'error',
    literals: ['BUG: KASAN: '],
    pattern: new RegExp(`^BUG: KASAN: (?<what>[a-z][a-z-]{1,40}) in ${FUNCTION}`),
    title: 'KASAN: {what} {Access} in {function}',
    from: 'header',
    skip: MEMORY_SKIP,
    continues: ['kasan'],
    patience: 40,
  },
  {
    kind: 'kasan',
    severity: 'error',
    literals: ['BUG: KASAN: '],
    pattern: /^BUG: KASAN: (?:double-free or )?(?<what>[a-z][a-z-]{1,40}) on (?:address|unknown)/,
    title: 'KASAN: {what} {Access} in {function}',
    from: 'trace',
    skip: MEMORY_SKIP,
    patience: 40,
  },
  {
    kind: 'kasan',
    severity: 'error',
    literals: ['BUG: KASan: '],
    pattern: new RegExp(`^BUG: KASan: use after free in ${FUNCTION}`),
    title: 'KASAN: use-after-free {Access} in {function}',
    from: 'header',
    skip: MEMORY_SKIP,
    patience: 40,
  },
  {
    kind: 'kasan',
    severity: 'error',
    literals: ['BUG: KASan: '],
    pattern: new RegExp(`^BUG: KASan: out of bounds (?:access|on (?:stack|global variable)) in ${FUNCTION}`),
    title: 'KASAN: out-of-bounds {Access} in {function}',
    from: 'header',
    skip: MEMORY_SKIP,
    patience: 40,
  },
  {
    kind: 'kmsan',
    severity: 'error',
    literals: ['BUG: KMSAN: '],
    pattern: new RegExp(`^BUG: KMSAN: (?<what>[a-z][a-z-]{1,40}) in ${FUNCTION}`),
    title: 'KMSAN: {what} in {function}',
    from: 'header',
    skip: [...COMMON_SKIP, 'crypto', 'usb'],
    continues: ['kmsan'],
    patience: 40,
  },
  {
    kind: 'kcsan',
    severity: 'error',
    literals: ['BUG: KCSAN: '],
    pattern: new RegExp(`^BUG: KCSAN: (?<what>data-race|assert: race) in ${FUNCTION}(?: / (?<other>[^\\s+]{1,200}))?`),
    title: 'KCSAN: {what} in {function} / {other}',
    from: 'header',
    skip: [],
    patience: 40,
  },
  {
    kind: 'kfence',
    severity: 'error',
    literals: ['BUG: KFENCE: '],
    pattern: new RegExp(
      `^BUG: KFENCE: (?<what>memory corruption|use-after-free|out-of-bounds|invalid(?: free)?)(?: (?<access>read|write))? in ${FUNCTION}`,
    ),
    title: 'KFENCE: {what} {access} in {function}',
    from: 'header',
    skip: MEMORY_SKIP,
    patience: 40,
  },
  {
    kind: 'ubsan',
    severity: 'error',
    literals: ['UBSAN: '],
    pattern: /^UBSAN: Undefined behaviour in [\w./-]{1,200}:\d+/,
    title: 'UBSAN: undefined-behaviour in {function}',
    from: 'trace',
    skip: ['machinery', 'consoles', 'primitives'],
  },
  {
    kind: 'ubsan',
    severity: 'error',
    literals: ['UBSAN: '],
    pattern: /^(?:Internal error: )?UBSAN: (?<what>[a-z][a-z -]{1,40}) in [\w./-]{1,200}:\d+/,
    title: 'UBSAN: {what} in {function}',
    from: 'trace',
    skip: ['machinery', 'consoles', 'primitives'],
  },
  // CONFIG_UBSAN_TRAP: a trapping instruction stands for the report, and only the kind of check is known.
  ...TRAPPED_CHECKS.map(([words, what]): Rule => ({
    kind: 'ubsan',
    severity: 'error',
    literals: ['UBSAN: '],
    pattern: new RegExp(`^(?:Internal error: )?UBSAN: ${words}(?: at |: )`),
    title: `UBSAN: ${what} in {function}`,
    from: 'pc',
    skip: ['machinery', 'consoles', 'primitives'],
    fatal: true,
  })),
];

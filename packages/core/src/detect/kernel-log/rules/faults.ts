import type { KernelLogKind } from '../kernel-log-finding.js';
import type { Rule } from './rule.js';
import { COMMON_SKIP } from './rule.js';

/** Reports that the exception which they raised is part of. */
const RAISED_BY: readonly KernelLogKind[] = [
  'kasan',
  'kfence',
  'list-corruption',
  'usercopy',
  'slab-corruption',
  'ubsan',
  'busy-inodes',
  'rust-panic',
  'bug',
  'null-deref',
  'page-fault',
  'general-protection-fault',
  'double-fault',
  'stack-overflow',
  'oops',
  'invalid-opcode',
  'divide-error',
];
const TRAP = '^(?:CPU \\d+ )?(?:Oops: |Internal error: (?:Oops - )?)?';
/** arch/arm/kernel/traps.c, arch/arm64/kernel/traps.c: the first line of die(). */
const DIES = /^Internal error: /;
const FAULT = { severity: 'error', from: 'pc', skip: [...COMMON_SKIP, 'completions'], fatal: true } as const;

/** arch/x86/mm/fault.c, arch/x86/kernel/traps.c, arch/arm64/mm/fault.c, arch/riscv/mm/fault.c, arch/powerpc/mm/fault.c and their like */
export const FAULTS: readonly Rule[] = [
  {
    ...FAULT,
    kind: 'null-deref',
    literals: ['NULL pointer dereference'],
    pattern:
      /^(?:CPU \d+ )?(?:BUG: )?(?:[Uu]nable to handle )?[Kk]ernel NULL pointer dereference(?: on (?<access>read|write))?(?:[^0-9\n]{0,40}?(?:address:? |at )(?:0x)?(?<address>[0-9a-f]{8,16})\b)?/,
    title: 'BUG: unable to handle kernel NULL pointer dereference in {function}',
    continues: ['kasan', 'kfence', 'null-deref'],
  },
  {
    ...FAULT,
    kind: 'stack-overflow',
    literals: ['stack guard page was hit'],
    pattern: /^BUG: (?:\w{1,16} )?stack guard page was hit at/,
    title: 'BUG: stack guard page was hit in {function}',
    from: 'stall',
  },
  {
    ...FAULT,
    kind: 'stack-overflow',
    literals: ['kernel stack overflow', 'Insufficient stack space', 'stack overflow detected'],
    pattern:
      /^(?:BUG: |[\w-]{1,64}: )?(?:kernel stack overflow|Insufficient stack space to handle exception|(?:.{0,40})?stack overflow detected)/,
    title: 'kernel stack overflow in {function}',
    from: 'stall',
    continues: ['stack-overflow', 'double-fault'],
  },
  {
    ...FAULT,
    kind: 'page-fault',
    literals: ['access to user memory'],
    pattern:
      /^(?:CPU \d+ )?Unable to handle kernel access to user memory(?:.{0,80}?address:? (?:0x)?(?<address>[0-9a-f]{8,16})\b)?/,
    title: 'BUG: unable to handle kernel access to user memory in {function}',
    continues: ['kasan', 'kfence'],
  },
  {
    ...FAULT,
    kind: 'page-fault',
    literals: ['nable to handle'],
    pattern:
      /^(?:CPU \d+ )?(?:BUG: )?[Uu]nable to handle (?:kernel |page fault|KASAN)(?:(?:.{0,80}?(?:at address|for address|virtual address|at|address):?) (?:0x)?(?<address>[0-9a-f]{8,16})\b)?/,
    title: 'BUG: unable to handle kernel paging request in {function}',
    continues: ['kasan', 'kfence', 'null-deref', 'page-fault'],
  },
  {
    ...FAULT,
    kind: 'general-protection-fault',
    literals: ['general protection fault'],
    pattern: new RegExp(`${TRAP}(?:segment-related )?general protection fault(?::|, (?:probably|maybe) for)`),
    title: 'general protection fault in {function}',
    continues: ['kasan', 'general-protection-fault'],
  },
  {
    ...FAULT,
    kind: 'double-fault',
    literals: ['double fault'],
    pattern: /^(?:PANIC: |traps: PANIC: |Oops: )?double fault[:,]/,
    title: 'PANIC: double fault in {function}',
    continues: ['stack-overflow', 'double-fault'],
  },
  {
    ...FAULT,
    kind: 'divide-error',
    literals: ['divide error', 'divide_error'],
    pattern: new RegExp(`${TRAP}divide[ _]error: `),
    title: 'divide error in {function}',
  },
  {
    ...FAULT,
    kind: 'invalid-opcode',
    literals: ['ndefined instruction'],
    pattern: /^Internal error: (?:Oops - )?[Uu]ndefined instruction\b/,
    title: 'Internal error in {function}',
    continues: RAISED_BY,
  },
  {
    ...FAULT,
    kind: 'invalid-opcode',
    literals: ['invalid opcode', 'ndefined instruction', 'illegal instruction'],
    pattern: new RegExp(
      `${TRAP}(?:invalid opcode: |Oops - )?(?:invalid opcode|[Uu]ndefined instruction|illegal instruction)(?::| \\[#)`,
    ),
    title: 'invalid opcode in {function}',
    continues: RAISED_BY,
  },
  {
    ...FAULT,
    kind: 'oops',
    literals: ['stack segment', 'segment not present', 'invalid TSS', 'alignment check', 'control protection'],
    pattern: new RegExp(
      `${TRAP}(?<what>stack segment|segment not present|invalid TSS|alignment check|control protection)(?: fault)?\\b`,
    ),
    title: '{what} fault in {function}',
    continues: RAISED_BY,
  },
  {
    ...FAULT,
    kind: 'oops',
    literals: [' [#'],
    pattern: new RegExp(
      `${TRAP}(?<what>int3|debug|bounds|overflow|device not available|iret exception|fpu exception|simd exception|coprocessor segment overrun): [0-9a-f]{4} \\[#`,
    ),
    title: '{what} in {function}',
    continues: RAISED_BY,
  },
  {
    ...FAULT,
    kind: 'oops',
    literals: ['CFI failure'],
    pattern: /^CFI failure (?:at (?<function>[A-Za-z_$.][^\s+]{0,200})|at|\()/,
    from: 'header',
    title: 'CFI failure in {function}',
  },
  {
    ...FAULT,
    kind: 'page-fault',
    literals: ['Unhandled fault: '],
    // A program's own access makes the kernel say the same, and continue.
    confirmedBy: DIES,
    pattern: /^Unhandled fault: (?:.{1,80} at (?:0x)?(?<address>[0-9a-f]{8,16})\b)?/,
    title: 'Unhandled fault in {function}',
    continues: ['oops', 'kasan', 'kfence'],
  },
  {
    ...FAULT,
    kind: 'oops',
    literals: ['Alignment trap: '],
    confirmedBy: DIES,
    // At an address of a program, it is the program's.
    pattern:
      /^Alignment trap: not handling instruction [0-9a-f]{1,16} at \[<(?:[89a-f][0-9a-f]{7}|[89a-f][0-9a-f]{15})>\]/,
    title: 'Alignment trap in {function}',
  },
  {
    ...FAULT,
    kind: 'oops',
    literals: ['Internal error: ', 'SError Interrupt', 'Bad mode in', 'Unhandled exception'],
    pattern:
      /^(?:Internal error: (?:Oops(?: - |: )?)?(?<what>[A-Za-z][\w -]{0,60})?|SError Interrupt on CPU ?(?<cpu>\d+)|Bad mode in [\w ]{1,40} detected|Unhandled exception:)/,
    title: 'Internal error in {function}',
    continues: RAISED_BY,
  },
  {
    // powerpc, behind `Machine check in kernel mode.`
    ...FAULT,
    kind: 'oops',
    literals: ['Oops: Machine check'],
    pattern: /^Oops: Machine check, sig: \d+ \[#\d/,
    title: 'Oops in {function}',
    continues: [...RAISED_BY, 'hardware-error'],
  },
  {
    ...FAULT,
    kind: 'oops',
    literals: ['Oops'],
    // Words behind it are a message about an oops, unless they end as die() ends.
    pattern:
      /^(?:CPU \d+ |.{1,32}[([]\d{1,10}[)\]]: )?(?:Kernel )?Oops(?: ?\[#?\d|#\d|:? ?\[#?\d|(?::| -)? (?:0x)?[0-9a-f]{1,16}(?:$|[ :[])|: .{1,100}\[#\d|$)/,
    title: 'Oops in {function}',
    continues: RAISED_BY,
  },
  {
    ...FAULT,
    kind: 'oops',
    literals: ['Kernel Fault: Code=', 'Data bus error, epc', 'nstruction bus error, epc'],
    pattern: /^(?<what>Kernel Fault|Data bus error|Instruction bus error)(?:: Code=|, epc ==)/,
    title: '{what} in {function}',
    continues: RAISED_BY,
  },
];

/** die() of every machine: `specification exception: 0006 ilc:2 [#1] SMP`, `Reserved instruction in kernel code[#1]:`. */
export const ANY_DIE: Rule = {
  ...FAULT,
  kind: 'oops',
  literals: ['[#'],
  pattern:
    /^(?:.{1,32}\(\d{1,10}\): )?(?<what>[A-Z]?[a-z][\w ,/()-]{3,60}?!?)(?:: (?:0x)?[0-9a-f]{1,16})?(?:,? (?:ilc|sig|code): ?\w{1,16})? ?\[#\d{1,5}\]/,
  title: '{what} in {function}',
  continues: [...RAISED_BY, 'hardware-error'],
};

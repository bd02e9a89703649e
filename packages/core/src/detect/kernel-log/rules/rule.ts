import type { Severity } from '../../finding.js';
import type { KernelLogKind } from '../kernel-log-finding.js';
import type { SkipSet } from '../stacks/skip-sets.js';

/** Where to look for the function of the title; each falls back to the main trace. */
export type FunctionSource =
  /** The title names none. */
  | 'none'
  /** The main trace. */
  | 'trace'
  /** The program counter (`RIP`, `pc`, `epc`, `NIP`), then the main trace. */
  | 'pc'
  /** Group `function` of the header, then the main trace. */
  | 'header'
  /** What the CPU did before the interrupt that noticed: what the kernel's dispatcher called, not where in it the sample fell. */
  | 'stall'
  /** The main trace; `rtnl_lock` and RCU's grace periods before all else. */
  | 'hang'
  /** `at: FUNC` of the first lock, then the last trace. */
  | 'lock'
  /** The stack of `... which became HARDIRQ-irq-safe at:`, then as `lock`. */
  | 'became'
  /** The stack of `page last allocated via`; no other. */
  | 'allocated'
  /** The first frame in the report, then the main trace. */
  | 'first-frame'
  /** The last trace of the report. */
  | 'last-trace';

/**
 * One way the kernel words a failure. `title` takes the header's named groups and `{function}`; where a value is
 * missing, the words up to it are left out from the last ` in ` on.
 */
export interface Rule {
  readonly kind: KernelLogKind;
  readonly severity: Severity;
  /** Every line that `pattern` matches holds one of these: the whole stream is searched for them, not for patterns. */
  readonly literals: readonly string[];
  /** Matches at the start of the message. Must not backtrack beyond the line's length. */
  readonly pattern: RegExp;
  readonly title: string;
  readonly from: FunctionSource;
  readonly skip?: readonly SkipSet[];
  /** A header of this rule inside an open report of these kinds belongs to that report. */
  readonly continues?: readonly KernelLogKind[];
  /** A header of this rule always continues such a report, also when that has its stack. */
  readonly follows?: boolean;
  /** A further header of the same rule belongs to the open report. */
  readonly repeats?: boolean;
  /** Changes of the finding by a line of the report; the first match counts. */
  readonly variants?: readonly { readonly pattern: RegExp; readonly severity: Severity; readonly title: string }[];
  /** It is a failure of the kernel only when a line of the report has this form; else a program was told off. */
  readonly confirmedBy?: RegExp;
  /** It is no failure when a line of the report has this form. */
  readonly revokedBy?: RegExp;
  /** Something of the same kind that says more follows as a rule: only where it does not, this is told. */
  readonly provisional?: boolean;
  /** The title names a device: another device is another failure. */
  readonly device?: boolean;
  /** A single line, with nothing behind it. */
  readonly single?: boolean;
  /** Lines of no known form that may stand within the report; default 10 before a trace, 4 behind it. */
  readonly patience?: number;
  /** Addresses in the title become `ADDR`, long numbers `NUM`: they differ from one time to the next. */
  readonly general?: boolean;
  /** Counts only behind a kernel prefix: the words are too common otherwise. */
  readonly vague?: boolean;
  /** A vague rule whose words are rare enough that a line without a prefix is counted as unread. */
  readonly rare?: boolean;
  /** The first line behind the header that matches gives further groups for the title. */
  readonly also?: RegExp;
  /** The consequence of what was reported shortly before: `always`, only when there was something, or only when that befell init. */
  readonly secondary?: 'always' | 'perhaps' | 'of-init';
  /** Nothing in the kernel runs on as before: what follows in this boot may be its consequence. */
  readonly fatal?: boolean;
}

export const COMMON_SKIP: readonly SkipSet[] = ['machinery', 'consoles', 'primitives', 'locks', 'allocators', 'common'];
/** What is still skipped where only common code is on the stack. */
export const BARE_SKIP: readonly SkipSet[] = ['machinery', 'consoles', 'primitives', 'locks', 'allocators'];

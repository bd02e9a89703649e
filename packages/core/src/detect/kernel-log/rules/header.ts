import { union } from '../../union.js';
import type { KernelLine } from '../lines/kernel-line.js';
import { RULES } from './all-rules.js';
import type { Rule } from './rule.js';

/** The rule that a line matches: it begins a report. */
export interface Header {
  readonly rule: Rule;
  readonly match: RegExpExecArray;
}

/** Positions at which a header may begin after text that another message left without a line end. */
const INNER_START = new RegExp(
  `(?:(?:NMI )?watchdog: |rcu: )?${union([
    'BUG: (?:soft lockup|unable to handle|kernel NULL|K[A-Z]{3,4}: |sleeping function|scheduling while|spinlock)',
    'INFO: (?:task .{1,64} blocked for|rcu_)',
    'Kernel panic - not syncing: ',
    'Unable to handle kernel ',
    'Internal error: Oops',
    '(?:general protection fault|divide error|invalid opcode): [0-9a-f]{4} \\[#',
    'kernel BUG at ',
    'WARNING: (?:CPU: \\d|at [\\w/.-]+:\\d)',
  ])}`,
  'g',
);
const MAX_INNER = 2;
/** The part of a line of unknown form that is searched. */
const MAX_UNREAD = 400;
/** A program that writes to the kernel's log, or words that are quoted. */
const QUOTED = /["'`]|---\[|\w\[\d{1,10}\]: |\b(?:audit|Command line|command line|cmdline)\b/;

/** The rule whose header the line is. */
export function matchHeader(line: KernelLine): Header | undefined {
  const text = line.prefixed ? line.text : line.text.trimStart();
  return matchAtStart(text) ?? (line.prefixed ? matchWithin(text) : undefined);
}

function matchAtStart(text: string): Header | undefined {
  for (const rule of RULES) {
    if (!rule.literals.some((literal) => text.includes(literal))) continue;
    const match = rule.pattern.exec(text);
    if (match !== null) return { rule, match };
  }
  return undefined;
}

function matchWithin(text: string): Header | undefined {
  INNER_START.lastIndex = 1;
  for (let tries = 0; tries < MAX_INNER; tries++) {
    const start = INNER_START.exec(text);
    if (start === null) return undefined;
    if (QUOTED.test(text.slice(0, start.index))) return undefined;
    const header = matchAtStart(text.slice(start.index));
    if (header !== undefined && header.rule.vague !== true) return header;
  }
  return undefined;
}

/** The patterns of the rules, anywhere in a line; made when first needed. */
let anywhere: readonly { readonly rule: Rule; readonly pattern: RegExp }[] | undefined;

/** Tells whether the words of a header are anywhere in a line. */
export function holdsHeader(text: string): boolean {
  anywhere ??= RULES.filter(({ vague, rare }) => vague !== true || rare === true).map((rule) => ({
    rule,
    pattern: new RegExp(rule.pattern.source.replaceAll(/(^|\|)\^/g, '$1(?<!\\w)'), rule.pattern.flags),
  }));
  const head = text.slice(0, MAX_UNREAD);
  return anywhere.some(
    ({ rule, pattern }) => rule.literals.some((literal) => head.includes(literal)) && pattern.test(head),
  );
}

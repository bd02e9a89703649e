import type { StackFrame } from '../../finding.js';
import { union } from '../../union.js';

export interface Trace {
  /** The line that opened it: `Call Trace:`, `Allocated by task 12:`; empty when frames came without one. */
  readonly label: string;
  readonly frames: StackFrame[];
}

/**
 * ` ? func+0x1/0x2 file.c:1 [module]`, with the addresses that older kernels and other machines print before it;
 * `:module:func+0x1/0x2` before 2.6.20.
 */
const FRAME =
  /^[ \t]*(?:<{1,2}[A-Z]{2,5}>{1,2} {1,2})?(?:\(?\[<?(?:[0-9a-fx]{1,20}| {0,8}none {0,8})>?\]\)?[ \t]*){0,2}(\? *)?(?::[\w-]{1,64}:)?([A-Za-z_$.<][^\s+()[\]]*)\+(0x[0-9a-f]+\/0x[0-9a-f]+)(?: [\w./-]+:\d+)?(?: \[([\w-]+)[^\]]*\])?/;
/** 32-bit arm: `[<c01>] (unwind_backtrace) from [<c02>] (show_stack+0x10/0x14)`, or without the addresses. */
const ARM_FRAME =
  /^[ \t]*(?:\[<[0-9a-f]{1,16}>\] \()?([A-Za-z_$.][\w.$]*)(?:\+0x[0-9a-f]+\/0x[0-9a-f]+)?(?: \[([\w-]+)\])?\)? from (?:\[<[0-9a-f]{1,16}>\] \()?[A-Za-z_$.0-9]/;
const ARM_CALLER = / from (?:\[<[0-9a-f]{1,16}>\] \()?([A-Za-z_$.][\w.$]*)\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[([\w-]+)\])?/;
/** As scripts/decode_stacktrace.sh writes it: ` ? func (file.c:1 (discriminator 2) inlined.h:3) module`. */
const DECODED_FRAME =
  /^[ \t]*(\? +)?([A-Za-z_$.][\w.$]*) \([^\s()]{1,200}:\d{1,6}(?=[ )]).*\)(?: ([\w-]{1,64}))?[ \t]*$/;
const INLINE_FRAME = /^[ \t]+(?:\[<[0-9a-f]{1,16}>\] )?(?:\? )?([A-Za-z_][\w.]*) [\w./-]+\.[chSrs]+:\d+ \[inline\]/;
/** The instruction that was running, in every machine's spelling. */
const PC = new RegExp(
  [
    '^[ \\t]*',
    union([
      // x86
      '(?:RIP|EIP|IP): (?:[0-9a-f]{4}:)?(?:\\[<[0-9a-f]+>\\][ \\t]*)*',
      'RIP[ \\t]+\\[<[0-9a-f]+>\\][ \\t]*',
      'EIP is at ',
      // arm, arm64, alpha, m68k, arc
      '(?:PC|pc) is at ',
      'pc : ',
      'PC: \\[<[0-9a-f]+>\\] ',
      // riscv, mips, loongarch
      'epc : ',
      'epc   : [0-9a-f]+ ',
      'ERA: [0-9a-f]+ ',
      '[rp]c[ \\t]*:[ \\t]*(?:[0-9a-f]{8,16} )?',
      // powerpc, s390, sparc
      'NIP \\[[0-9a-f]+\\] ',
      'Krnl PSW : [0-9a-f ]+\\(',
      'TPC: <',
    ]),
    '([A-Za-z_$.][^\\s+()[\\]]*)',
    '(?:\\+(0x[0-9a-f]+/0x[0-9a-f]+)(?: \\[([\\w-]+)[^\\]]*\\])?| \\([^\\s()]{1,200}\\.[chSrs]{1,2}:\\d{1,6}[ )])',
  ].join(''),
);
/** The name of a BPF program begins with a hash of its code; the field writes `bpf_prog_ADDR`. */
const BPF_PROGRAM = /^bpf_prog_[0-9a-f]{16}(?=_|$)/;
/** powerpc's first ABI: the code of `demo` is called `.demo`. */
const ELFV1_DOT = /^\.(?=[A-Za-z_])/;
const COMPILER_SUFFIX = /\.(?:constprop|isra|part|cold|llvm|lto_priv|cfi|cfi_jt)(?:\.[\w.]*)?$/;

export function parseFrame(text: string): StackFrame | undefined {
  if (text.includes('+0x')) {
    const match = FRAME.exec(text);
    if (match !== null) return frame(match[2] ?? '', text, match[1] !== undefined, match[4]);
  }
  if (text.includes('.c:') || text.includes('.rs:')) {
    const match = DECODED_FRAME.exec(text);
    if (match !== null) return frame(match[2] ?? '', text, match[1] !== undefined, match[3]);
  }
  if (text.includes(' from ') && text.includes('+0x')) {
    const match = ARM_FRAME.exec(text);
    if (match !== null) return frame(match[1] ?? '', text, false, match[2]);
  }
  if (text.includes('[inline]')) {
    const match = INLINE_FRAME.exec(text);
    if (match !== null) return { ...frame(match[1] ?? '', text, false, undefined), inline: true };
  }
  return undefined;
}

/** 32-bit arm's `CALLEE from CALLER+0x1/0x2`: the next frame names the caller as well, but the last has none behind it. */
export function parseCaller(text: string): StackFrame | undefined {
  const match = text.includes(' from ') && ARM_FRAME.test(text) ? ARM_CALLER.exec(text) : null;
  return match === null ? undefined : frame(match[1] ?? '', match[0].slice(' from '.length), false, match[2]);
}

/** The frame of a program counter line (`RIP: 0010:func+0x1/0x2`); a user address has no name and gives none. */
export function parseProgramCounter(text: string): StackFrame | undefined {
  if (!text.includes('+0x') && !text.includes('.c:')) return undefined;
  const match = PC.exec(text);
  if (match === null) return undefined;
  return frame(match[1] ?? '', match[2] === undefined ? text : `${match[1]}+${match[2]}`, false, match[3]);
}

export function functionName(symbol: string): string {
  // Nearly all have neither, and a search is much cheaper than a pattern.
  const name = symbol.includes('.') ? symbol.replace(ELFV1_DOT, '').replace(COMPILER_SUFFIX, '') : symbol;
  return name.startsWith('bpf_') ? name.replace(BPF_PROGRAM, 'bpf_prog_ADDR') : name;
}

function frame(symbol: string, raw: string, uncertain: boolean, module: string | undefined): StackFrame {
  const known = { function: functionName(symbol), raw: raw.trim() };
  if (!uncertain) return module === undefined ? known : { ...known, module };
  return module === undefined ? { ...known, uncertain } : { ...known, uncertain, module };
}

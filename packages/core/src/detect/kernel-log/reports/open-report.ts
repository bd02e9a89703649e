import type { StackFrame } from '../../finding.js';
import type { KernelLogKind } from '../kernel-log-finding.js';
import { decode } from '../lines/decode.js';
import type { KernelLine } from '../lines/kernel-line.js';
import type { Rule } from '../rules/rule.js';
import { parseCaller, parseFrame, parseProgramCounter } from '../stacks/frames.js';
import type { Trace } from '../stacks/frames.js';
import { END_MARKER, INLINED, REGISTERS, SKIPPED_BACKTRACE, STRUCTURE, TRACE_LABEL } from './report-lines.js';

const MAX_LINES = 600;
const MAX_EVIDENCE = 160;
const MAX_EVIDENCE_LINE = 400;
const MAX_FRAMES = 120;
const MAX_TRACES = 40;
/** Reports are printed in one go: what comes later, by the kernel's own clock, is another story. In seconds. */
const MAX_GAP = 5;
/** How long the kernel waits for the backtraces of other CPUs, with `MAX_GAP`; lib/nmi_backtrace.c. */
const MAX_GAP_OF_BACKTRACES = 10 + MAX_GAP;
/** Between two lines of one report; in seconds. */
const MAX_PAUSE = 1;
const MAX_UNKNOWN_LINES_BEFORE_TRACE = 10;
const MAX_UNKNOWN_LINES_AFTER_TRACE = 4;

/** Their stacks come without `Call Trace:`. */
const UNLABELLED: readonly KernelLogKind[] = ['kmsan', 'kfence', 'kcsan', 'memory-leak'];

/** A header that was seen and the lines behind it, until the report is over. All of it bounded. */
export class OpenReport {
  readonly rule: Rule;
  readonly match: RegExpExecArray;
  readonly header: KernelLine;
  readonly startedAt: number;
  readonly lines: string[] = [];
  readonly evidence: string[] = [];
  readonly traces: Trace[] = [];
  /** Program counters in the order printed, with the number of traces begun before each. */
  readonly counters: { readonly frame: StackFrame; readonly trace: number; readonly depth: number }[] = [];
  lastAt: number;
  panic: string | undefined;
  dropped = false;
  /** Other CPUs were told to print their backtraces into it. */
  asksBacktraces = false;
  interleaved = false;
  /** It began while a stack was printed that nothing had ended: frames before its own stack are of that one. */
  behindStack = false;
  /** Same report as one already seen: followed to its end, not told. */
  readonly repeated: boolean;
  #lastTime: number | undefined;
  #idle = 0;
  #inTrace = false;
  #label = '';
  #marked = false;
  /** The last frame of the stack, when it was only named as the caller of the one before. */
  #caller: StackFrame | undefined;
  #ended = false;

  constructor(rule: Rule, match: RegExpExecArray, header: KernelLine, raw: string, atMs: number, repeated: boolean) {
    this.rule = rule;
    this.match = match;
    this.header = header;
    this.startedAt = atMs;
    this.lastAt = atMs;
    this.repeated = repeated;
    this.#lastTime = header.time;
    this.keep(header.text, raw);
  }

  get hasTrace(): boolean {
    return this.traces.some(({ frames }) => frames.length > 0);
  }

  /** It is the kernel's failure, not one of a program that the kernel only mentions. */
  get isConfirmed(): boolean {
    const { confirmedBy, revokedBy } = this.rule;
    if (revokedBy !== undefined && this.lines.some((line) => revokedBy.test(line))) return false;
    return confirmedBy === undefined || this.lines.some((line) => confirmedBy.test(line));
  }

  /** The log ended before it could say more. */
  get isProvisional(): boolean {
    return this.rule.provisional === true && this.lines.length < MAX_UNKNOWN_LINES_AFTER_TRACE;
  }

  /** The kernel said that this report ends here. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Within the part that belongs together beyond doubt: no stack ended yet, and nothing else said since. */
  get inProgress(): boolean {
    return !this.#ended && (this.#inTrace || (!this.hasTrace && this.#idle === 0));
  }

  /** A part of a stack that the kernel marks was begun and not ended. */
  get inStack(): boolean {
    return this.#marked;
  }

  /** Lines that the kernel always prints after such a header are missing. */
  get lacksWhole(): boolean {
    if (this.rule.secondary === 'always') return true;
    if (this.rule.single === true || this.rule.from === 'none' || this.hasTrace || this.counters.length > 0)
      return false;
    // A CPU that idles has no backtrace to print.
    if (this.lines.some((line) => SKIPPED_BACKTRACE.test(line))) return false;
    return this.rule.kind !== 'hung-task' && this.rule.kind !== 'lock-held';
  }

  /** Whether a header at `time` cuts in before this report could say what it has to say, or within a stack. */
  isCutInto(time: number | undefined): boolean {
    if (this.#ended || this.rule.from === 'none') return false;
    if (time !== undefined && this.#lastTime !== undefined && time - this.#lastTime > MAX_PAUSE) return false;
    if (this.hasTrace) return this.#marked && !this.dropped;
    // On a console at a low log level a hung task gets three lines and no stack.
    return this.rule.kind !== 'hung-task' || this.lines.length < 2;
  }

  /** Returns whether a line at `time` is too late to be a part of the report. */
  isOver(time: number | undefined): boolean {
    if (time === undefined || this.#lastTime === undefined) return false;
    return time - this.#lastTime > (this.asksBacktraces ? MAX_GAP_OF_BACKTRACES : MAX_GAP);
  }

  /** Takes a line of the same context. `false`: the report was over before it. */
  add(line: KernelLine, raw: string, atMs: number): boolean {
    if (this.isOver(line.time)) return false;
    const known = this.#read(line.text);
    this.#idle = known ? 0 : this.#idle + 1;
    const patience = this.#ended
      ? 2
      : (this.rule.patience ?? (this.hasTrace ? MAX_UNKNOWN_LINES_AFTER_TRACE : MAX_UNKNOWN_LINES_BEFORE_TRACE));
    if (this.#idle > patience || (this.lines.length >= MAX_LINES && this.rule.provisional !== true)) return false;
    if (line.time !== undefined) this.#lastTime = line.time;
    this.lastAt = atMs;
    this.keep(line.text, raw);
    return true;
  }

  keep(text: string, raw: string): void {
    if (this.lines.length < MAX_LINES) this.lines.push(text);
    if (this.evidence.length < MAX_EVIDENCE) this.evidence.push(decode(raw).slice(0, MAX_EVIDENCE_LINE));
  }

  /** Lines of the kernel about it before its header. */
  preface(lines: readonly string[]): void {
    this.evidence.unshift(...lines.map((raw) => decode(raw).slice(0, MAX_EVIDENCE_LINE)));
  }

  /** Whether a header of this rule belongs to the report: a second one of its kind is a second failure, once the first has its stack. */
  continuesWith(rule: Rule): boolean {
    if (this.#ended) return false;
    if (rule.repeats === true && this.rule === rule) return true;
    // A symbolized log repeats the header for each function that the compiler put into the next.
    if (this.rule.kind === rule.kind && INLINED.test(this.lines.at(-1) ?? '')) return true;
    if (rule.continues?.includes(this.rule.kind) !== true) return false;
    return rule.follows === true || this.rule.kind !== rule.kind || !this.hasTrace;
  }

  /** A header that belongs to this report came. */
  continueWith(line: KernelLine, raw: string, atMs: number): void {
    this.#idle = 0;
    this.#inTrace = false;
    this.lastAt = atMs;
    if (line.time !== undefined) this.#lastTime = line.time;
    this.keep(line.text, raw);
  }

  #read(line: string): boolean {
    // Where kmemleak writes to the log, it puts its name before every line.
    const text = line.startsWith('kmemleak: ') ? line.slice('kmemleak: '.length) : line;
    const frame = parseFrame(text);
    const counter = frame === undefined || text.includes(': ') ? parseProgramCounter(text) : undefined;
    if (counter !== undefined) {
      const depth = this.#inTrace ? (this.traces.at(-1)?.frames.length ?? 0) : 0;
      if (this.counters.length < MAX_TRACES) this.counters.push({ frame: counter, trace: this.traces.length, depth });
      return true;
    }
    if (frame !== undefined) {
      this.#pushFrame(frame, parseCaller(text));
      return true;
    }
    if (TRACE_LABEL.test(text)) {
      if (text.startsWith('Sending NMI')) this.asksBacktraces = true;
      this.#label = text.trim();
      this.#inTrace = false;
      return true;
    }
    if (END_MARKER.test(text)) {
      this.#ended = true;
      this.#inTrace = false;
      return true;
    }
    if (/^[ \t]*<\/?[A-Z]/.test(text)) {
      this.#marked = !text.includes('</');
      // What interrupted a task and what it was doing are one stack; the end of the task's own is the end of it.
      if (/^[ \t]*<\/(?:TASK|EOE)/.test(text)) this.#inTrace = false;
      return true;
    }
    if (REGISTERS.test(text)) return true;
    if (STRUCTURE.test(text)) {
      this.#inTrace = false;
      return true;
    }
    return text.trim() === '';
  }

  #pushFrame(frame: StackFrame, caller: StackFrame | undefined): void {
    if (!this.#inTrace) {
      if (this.traces.length >= MAX_TRACES) return;
      if (this.behindStack && this.traces.length === 0 && this.#label === '' && !UNLABELLED.includes(this.rule.kind))
        this.interleaved = true;
      this.traces.push({ label: this.#label, frames: [] });
      this.#label = '';
      this.#inTrace = true;
    }
    const frames = this.traces.at(-1)?.frames;
    if (frames === undefined || frames.length >= MAX_FRAMES) return;
    // The next frame repeats it.
    if (this.#caller !== undefined && frames.at(-1) === this.#caller) frames.pop();
    frames.push(frame);
    if (caller !== undefined) frames.push(caller);
    this.#caller = caller;
  }
}

/** The first line of the report that has this form. */
export function firstMatch(report: OpenReport, form: RegExp): RegExpExecArray | undefined {
  for (const line of report.lines) {
    const match = form.exec(line);
    if (match !== null) return match;
  }
  return undefined;
}

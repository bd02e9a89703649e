import { BootWatch, BOOT_LITERALS } from './boot-watch.js';
import type { KernelLogFinding } from './kernel-log-finding.js';
import { parseKernelLine, startsWithStamp } from './lines/kernel-line.js';
import type { KernelLine } from './lines/kernel-line.js';
import { LineSplitter } from './lines/line-splitter.js';
import type { SplitLine } from './lines/line-splitter.js';
import { compileLiterals } from './lines/literal-matcher.js';
import { explainedBy, explains, isDeathThroe } from './reports/cause.js';
import type { Cause } from './reports/cause.js';
import { CutHere, CUT_HERE } from './reports/cut-here.js';
import { INLINED, OpenReport } from './reports/open-report.js';
import { describeReport } from './reports/report-finding.js';
import { RULES } from './rules/all-rules.js';
import type { Rule } from './rules/rule.js';
import { AskedBacktraces } from './stacks/requested-backtraces.js';

/** What a kernel log detector takes for granted. */
export interface KernelLogDetectorOptions {
  /** After how long without a further line a report counts as whole, in ms. Default 2000. */
  readonly quietMs?: number;
  /**
   * The kernel is known to put timestamps before its messages, so that a line without one is not its own. By default that is
   * learnt from the first timestamp: whoever begins in the middle of a log tells it, by `showsTimestamps` of what came before.
   */
  readonly timestamped?: boolean;
}

/** Reads a console or kernel log as it comes. Every method gives the findings that are complete by then. */
export interface KernelLogDetector {
  /** Takes the next bytes, cut anywhere. Text is taken as UTF-8. `atMs` is the caller's own clock and must not go back. */
  push(chunk: string | Uint8Array, atMs: number): KernelLogFinding[];
  /** Says that time has passed: ends reports behind which nothing more came. */
  tick(atMs: number): KernelLogFinding[];
  /** The log is over: ends everything. */
  end(atMs: number): KernelLogFinding[];
}

const DROPPED = 'printk messages dropped';
const MATCHER = compileLiterals([
  ...new Set([...RULES.flatMap(({ literals }) => literals), ...BOOT_LITERALS, DROPPED, CUT_HERE]),
]);
/** Contexts that may be printing a report at the same time. */
const MAX_OPEN = 8;
/** A failure this many looked-at lines ago still explains what comes now. */
const CAUSE_REACH = 3000;
const MAX_SEEN = 256;
/** `[` and `<`: with one of them the kernel's prefix begins. */
const OPENING_BYTES: ReadonlySet<number> = new Set([0x5b, 0x3c]);

/** A detector for one boot's log, which may come in pieces of any size. */
export function createKernelLogDetector(options: KernelLogDetectorOptions = {}): KernelLogDetector {
  return new Engine(options);
}

/** Whether the kernel puts timestamps before its messages, as far as these console lines show. */
export function showsTimestamps(lines: readonly string[]): boolean {
  return lines.some(startsWithStamp);
}

/** All findings of a log that is there in full; `at` is the kernel's own time in ms where the log has it, else 0. */
export function scan(log: string | Uint8Array): KernelLogFinding[] {
  const detector = createKernelLogDetector();
  return [...detector.push(log, 0), ...detector.end(0)].map((finding) =>
    finding.kernelTime === undefined ? finding : { ...finding, at: Math.round(finding.kernelTime * 1000) },
  );
}

class Engine implements KernelLogDetector {
  readonly #quietMs: number;
  readonly #lines = new LineSplitter(MATCHER);
  readonly #open = new Map<string, OpenReport>();
  readonly #backtraces = new AskedBacktraces();
  readonly #boot = new BootWatch();
  readonly #cutHere = new CutHere();
  /** Headers with their kernel time: a log printed twice (dmesg, a second console) is not a second failure. */
  readonly #seen = new Set<string>();
  readonly #encoder = new TextEncoder();
  /** What may be a command that was typed: when it prints words of its own, those are not the kernel's. */
  #typed = '';
  #found: KernelLogFinding[] = [];
  #cause: Cause | undefined;
  #stamped: boolean;
  #lineCount = 0;
  #at = 0;
  #heldSurrogate = '';

  constructor({ quietMs = 2000, timestamped = false }: KernelLogDetectorOptions) {
    this.#quietMs = quietMs;
    this.#stamped = timestamped;
  }

  push(chunk: string | Uint8Array, atMs: number): KernelLogFinding[] {
    this.#closeQuiet(atMs);
    this.#at = atMs;
    const bytes = typeof chunk === 'string' ? this.#encode(chunk) : chunk;
    this.#lines.push(bytes, this.#wanted, this.#take);
    return this.#give();
  }

  tick(atMs: number): KernelLogFinding[] {
    this.#closeQuiet(atMs);
    return this.#give();
  }

  end(atMs: number): KernelLogFinding[] {
    this.#at = atMs;
    const rest = this.#lines.end();
    if (rest !== undefined) this.#take(rest);
    for (const context of this.#open.keys()) this.#close(context, true);
    return this.#give();
  }

  readonly #wanted = (first: number): boolean => {
    this.#lineCount++;
    return (
      this.#open.size > 0 || this.#boot.curious || this.#cutHere.curious || (!this.#stamped && OPENING_BYTES.has(first))
    );
  };

  readonly #take = ({ raw, hit, plain }: SplitLine): void => {
    if (hit) this.#lineCount++;
    this.#cutHere.pass();
    if (!hit && this.#open.size === 0 && !this.#boot.curious && !this.#cutHere.curious) {
      if (startsWithStamp(raw)) this.#noteStamp(parseKernelLine(raw));
      return;
    }
    if (hit && raw.includes(DROPPED)) for (const report of this.#open.values()) report.dropped = true;
    const line = parseKernelLine(raw, plain);
    this.#noteStamp(line);
    // In a log with timestamps a line without one is not the kernel's, and someone may well be printing its words.
    if (line.foreign) return;
    // In front of its banner a kernel has no log, and so no timestamps.
    if (this.#stamped && !line.prefixed && !this.#boot.unpacks(line)) return;
    this.#watchBoot(line, raw, hit);
    const header = hit ? matchRule(line) : undefined;
    const echoed = header !== undefined && !line.prefixed && this.#typed.includes(line.text);
    this.#typed = hit && header === undefined && !line.prefixed ? line.text : '';
    if (echoed) return;
    if (header === undefined) {
      this.#cutHere.read(line, raw);
      this.#addToOpen(line, raw);
    } else this.#head(header.rule, header.match, line, raw);
  };

  #noteStamp({ time }: KernelLine): void {
    if (time === undefined) return;
    this.#stamped = true;
    this.#boot.sawKernel(time);
  }

  #watchBoot(line: KernelLine, raw: string, hit: boolean): void {
    const restart = this.#boot.read(line, hit, this.#lineCount);
    if (restart === undefined) return;
    for (const context of this.#open.keys()) this.#close(context, true);
    if (restart === 'unexpected' && this.#cause?.fatal !== true)
      this.#found.push(this.#boot.finding(line, raw, this.#at));
    this.#cause = undefined;
    this.#seen.clear();
    this.#stamped = line.time !== undefined;
  }

  #addToOpen(line: KernelLine, raw: string): void {
    const context = this.#backtraces.contextOf(line, this.#open);
    const report = this.#open.get(context);
    if (report === undefined || report.add(line, raw, this.#at)) return;
    this.#close(context, false);
  }

  /** With caller tags each context has its own report; without, there is one. */
  #contextOf(line: KernelLine): string {
    return line.caller ?? '';
  }

  #head(rule: Rule, match: RegExpExecArray, line: KernelLine, raw: string): void {
    const context = this.#contextOf(line);
    if (this.#open.get(context)?.isOver(line.time) === true) this.#close(context, false);
    const open = this.#open.get(context);
    if (rule.kind === 'kernel-panic' && this.#panicOf(open, rule, match, line, raw)) return;
    if (open !== undefined && belongsTo(open, rule)) {
      open.continueWith(line, raw, this.#at);
      return;
    }
    if (rule.vague === true && !line.prefixed) {
      this.#addToOpen(line, raw);
      return;
    }
    if (open !== undefined && !open.inProgress) this.#close(context, false);
    if (rule.single === true) {
      const report = new OpenReport(rule, match, line, raw, this.#at, this.#isRepeat(line));
      this.#emit(report, false);
      return;
    }
    const interleaved = open !== undefined && context === '' && open.isCutInto(line.time);
    if (open !== undefined) {
      open.interleaved ||= interleaved;
      this.#close(context, false);
    }
    if (this.#open.size >= MAX_OPEN) this.#close([...this.#open.keys()][0] ?? '', false);
    const report = new OpenReport(rule, match, line, raw, this.#at, this.#isRepeat(line));
    report.preface(this.#cutHere.linesBefore(line));
    report.interleaved = interleaved;
    report.behindStack = context === '' && open?.inProgress === true;
    this.#open.set(context, report);
  }

  /** A panic belongs to the report that led to it, open or just told. */
  #panicOf(open: OpenReport | undefined, rule: Rule, match: RegExpExecArray, line: KernelLine, raw: string): boolean {
    const message = match.groups?.['message'] ?? '';
    const cause = open ?? (rule.secondary !== undefined ? [...this.#open.values()].at(-1) : undefined);
    if (cause !== undefined && cause.rule.kind !== 'kernel-panic' && explainedBy(cause, rule)) {
      cause.panic = message;
      cause.continueWith(line, raw, this.#at);
      return true;
    }
    const told = this.#recentCause();
    return told !== undefined && explains(told, rule, line.time);
  }

  #recentCause(): Cause | undefined {
    return this.#cause !== undefined && this.#lineCount - this.#cause.line < CAUSE_REACH ? this.#cause : undefined;
  }

  #isRepeat(line: KernelLine): boolean {
    if (line.time === undefined) return false;
    const key = `${line.time} ${line.text}`;
    if (this.#seen.has(key)) return true;
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(key);
    return false;
  }

  #closeQuiet(atMs: number): void {
    for (const [context, report] of this.#open) {
      if (atMs - report.lastAt >= this.#quietMs) this.#close(context, false);
    }
  }

  #close(context: string, over: boolean): void {
    const report = this.#open.get(context);
    if (report === undefined) return;
    this.#open.delete(context);
    this.#emit(report, over && report.inStack);
  }

  #emit(report: OpenReport, cut: boolean): void {
    if (report.repeated) return;
    const cause = this.#recentCause();
    const finding = describeReport(report, {
      cut: cut || report.lacksWhole,
      ...(cause?.fatal === true ? { after: cause.title } : {}),
    });
    if (cause?.fatal === true && isDeathThroe(finding, cause, report)) return;
    this.#found.push(finding);
    if (finding.severity !== 'warning' || report.panic !== undefined || this.#cause === undefined) {
      if (report.rule.single === true) return;
      const fatal = report.rule.fatal === true || report.panic !== undefined;
      if (this.#cause?.fatal === true && !fatal) return;
      this.#cause = {
        title: finding.title,
        fatal,
        pid: finding.task?.pid,
        time: finding.kernelTime,
        line: this.#lineCount,
      };
    }
  }

  #give(): KernelLogFinding[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  /** A pair of surrogates may be cut in two by the caller. */
  #encode(text: string): Uint8Array {
    let whole = this.#heldSurrogate + text;
    const last = whole.charCodeAt(whole.length - 1);
    const held = last >= 0xd800 && last <= 0xdbff;
    this.#heldSurrogate = held ? whole.slice(-1) : '';
    if (held) whole = whole.slice(0, -1);
    return this.#encoder.encode(whole);
  }
}

/** A second report of one kind is a second failure, once the first has its stack. */
function belongsTo(open: OpenReport, rule: Rule): boolean {
  if (open.ended) return false;
  // A symbolized log repeats the header for each function that the compiler put into the next.
  if (open.rule.kind === rule.kind && INLINED.test(open.lines.at(-1) ?? '')) return true;
  if (rule.continues?.includes(open.rule.kind) !== true) return false;
  return rule.follows === true || open.rule.kind !== rule.kind || !open.hasTrace;
}

function matchRule(line: KernelLine): { readonly rule: Rule; readonly match: RegExpExecArray } | undefined {
  for (const rule of RULES) {
    if (!rule.literals.some((literal) => line.text.includes(literal))) continue;
    const match = rule.pattern.exec(line.text);
    if (match !== null) return { rule, match };
  }
  return undefined;
}

import { BootWatch, BOOT_LITERALS } from './boot-watch.js';
import type { KernelLogFinding } from './kernel-log-finding.js';
import { ChunkEncoder } from './lines/chunk-encoder.js';
import { parseKernelLine, startsWithStamp, type KernelLine } from './lines/kernel-line.js';
import { LineSplitter, type SplitLine } from './lines/line-splitter.js';
import { compileLiterals } from './lines/literal-matcher.js';
import { Repeats } from './repeats.js';
import { explainedBy, explains, isFollowUp, type Cause } from './reports/cause.js';
import { CutHere, CUT_HERE } from './reports/cut-here.js';
import { LatestHeaders } from './reports/latest-headers.js';
import { OpenReport } from './reports/open-report.js';
import { describeReport } from './reports/report-finding.js';
import { RequestedBacktraces } from './reports/requested-backtraces.js';
import { RULES } from './rules/all-rules.js';
import { matchHeader } from './rules/header.js';
import type { Rule } from './rules/rule.js';
import { UnreadCounter, type UnreadLines } from './unread.js';

const DROPPED = 'printk messages dropped';
const MATCHER = compileLiterals([
  ...new Set([...RULES.flatMap(({ literals }) => literals), ...BOOT_LITERALS, DROPPED, CUT_HERE]),
]);
/** Contexts that may be printing a report at the same time. */
const MAX_OPEN = 8;
/** A failure at most this many lines ago can still explain a new one. */
const CAUSE_REACH = 3000;
/** Names of forms that are a time and nothing else. */
const TIMES: ReadonlySet<string> = new Set(['time', 'bracketed time']);
/** `[` and `<`: with one of them the kernel's prefix begins. */
const OPENING_BYTES: ReadonlySet<number> = new Set([0x5b, 0x3c]);

/** The detector itself: finds headers, follows their reports to the end, and reports each failure once. */
export class Engine {
  readonly #quietMs: number;
  readonly #lines = new LineSplitter(MATCHER);
  readonly #open = new Map<string, OpenReport>();
  readonly #backtraces = new RequestedBacktraces();
  readonly #boot = new BootWatch();
  readonly #cutHere = new CutHere();
  readonly #repeats = new Repeats();
  readonly #headers = new LatestHeaders();
  readonly #unread = new UnreadCounter();
  readonly #encoder = new ChunkEncoder();
  /** Perhaps a typed command: when its own words are then printed, they are the command's output and not the kernel's. */
  #typed = '';
  #found: KernelLogFinding[] = [];
  #cause: Cause | undefined;
  #stamped: boolean;
  /** Lines of a system log name the kernel. */
  #tagged = false;
  #lineCount = 0;
  #at = 0;

  constructor({ quietMs, timestamped }: { readonly quietMs: number; readonly timestamped: boolean }) {
    this.#quietMs = quietMs;
    this.#stamped = timestamped;
  }

  push(chunk: string | Uint8Array, atMs: number): KernelLogFinding[] {
    this.#closeQuiet(atMs);
    this.#at = atMs;
    const bytes = typeof chunk === 'string' ? this.#encoder.encode(chunk) : chunk;
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
      this.#open.size > 0 ||
      this.#boot.needsMoreLines ||
      this.#cutHere.needsMoreLines ||
      (!this.#stamped && OPENING_BYTES.has(first))
    );
  };

  readonly #take = ({ raw, hit, plain }: SplitLine): void => {
    if (hit) this.#lineCount++;
    this.#cutHere.pass();
    if (!hit && this.#open.size === 0 && !this.#boot.needsMoreLines && !this.#cutHere.needsMoreLines) {
      if (startsWithStamp(raw)) this.#noteStamp(parseKernelLine(raw));
      return;
    }
    if (hit && raw.includes(DROPPED)) for (const report of this.#open.values()) report.dropped = true;
    const line = parseKernelLine(raw, { plain, stamped: this.#stamped });
    this.#noteStamp(line);
    if (!this.#isKernels(line)) {
      if (line.form === 'program') this.#unread.recognize();
      if (hit) this.#unread.note(line, raw);
      return;
    }
    this.#watchBoot(line, raw, hit);
    const header = hit ? matchHeader(line) : undefined;
    if (line.prefixed) this.#unread.recognize();
    else if (hit && header === undefined) this.#unread.note(line, raw);
    const echoed = header !== undefined && !line.prefixed && this.#typed.includes(line.text);
    this.#typed = hit && header === undefined && !line.prefixed ? line.text : '';
    if (echoed) return;
    if (header === undefined) {
      this.#cutHere.read(line, raw);
      this.#addToOpen(line, raw);
    } else this.#head(header.rule, header.match, line, raw);
  };

  /** Whether the kernel may have printed the line. */
  #isKernels(line: KernelLine): boolean {
    if (line.foreign) return false;
    if (line.prefixed) {
      this.#tagged ||= line.form === 'syslog';
      return true;
    }
    // A system log names the kernel on each of its lines.
    if (this.#tagged && line.form !== undefined && TIMES.has(line.form)) return false;
    // In a log with timestamps a line without one is a program's; only before its banner a kernel has no log.
    return !this.#stamped || this.#boot.unpacks(line);
  }

  #noteStamp({ time }: KernelLine): void {
    if (time === undefined) return;
    this.#stamped = true;
    this.#unread.recognize();
    this.#boot.sawKernel(time);
  }

  #watchBoot(line: KernelLine, raw: string, hit: boolean): void {
    const restart = this.#boot.read(line, hit, this.#lineCount);
    if (restart === undefined) return;
    for (const context of this.#open.keys()) this.#close(context, true);
    if (restart === 'unexpected' && this.#cause?.fatal !== true)
      this.#found.push(this.#boot.finding(line, raw, this.#at));
    this.#cause = undefined;
    this.#repeats.clear();
    this.#headers.clear();
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
    if (rule.kind === 'oom-kill') this.#dropProvisional(rule.kind);
    const context = this.#contextOf(line);
    if (this.#open.get(context)?.isOver(line.time) === true) this.#close(context, false);
    // A machine check that ends in a panic is told by the panic.
    if (rule.kind === 'kernel-panic' && this.#open.get(context)?.rule.kind === 'hardware-error')
      this.#open.delete(context);
    const open = this.#open.get(context);
    if (rule.kind === 'kernel-panic' && this.#panicOf(open, rule, match, line, raw)) return;
    if (open !== undefined && open.continuesWith(rule)) {
      open.continueWith(line, raw, this.#at);
      return;
    }
    if (rule.vague === true && !line.prefixed) {
      this.#unread.note(line, raw);
      this.#addToOpen(line, raw);
      return;
    }
    if (open !== undefined && !open.inProgress) this.#close(context, false);
    if (rule.single === true) {
      const report = new OpenReport(rule, match, line, raw, this.#at, this.#repeats.has(line, this.#stamped));
      this.#emit(report, false);
      return;
    }
    const interleaved = open !== undefined && context === '' && open.isCutInto(line.time);
    if (open !== undefined) {
      open.interleaved ||= interleaved;
      this.#close(context, false);
    }
    if (this.#open.size >= MAX_OPEN) this.#close([...this.#open.keys()][0] ?? '', false);
    const seen = this.#repeats.has(line, this.#stamped);
    const report = new OpenReport(rule, match, line, raw, this.#at, seen || this.#headers.hasStart(rule, line));
    this.#headers.note(rule, line);
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

  /** The next lines say more. */
  #dropProvisional(kind: string): void {
    for (const [context, report] of this.#open) {
      if (report.rule.provisional === true && report.rule.kind === kind) this.#open.delete(context);
    }
  }

  #recentCause(): Cause | undefined {
    return this.#cause !== undefined && this.#lineCount - this.#cause.line < CAUSE_REACH ? this.#cause : undefined;
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
    if (report.isConfirmed || (over && report.isProvisional)) this.#emit(report, over && report.inStack);
  }

  #emit(report: OpenReport, cut: boolean): void {
    if (report.repeated) return;
    const cause = this.#recentCause();
    const finding = describeReport(report, {
      cut: cut || report.lacksWhole,
      ...(cause?.fatal === true ? { after: cause.title } : {}),
    });
    if (cause?.fatal === true && isFollowUp(finding, cause, report)) return;
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

  get unread(): UnreadLines {
    return this.#unread.lines;
  }

  #give(): KernelLogFinding[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }
}

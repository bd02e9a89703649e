import type { KernelLine } from '../lines/kernel-line.js';
import type { OpenReport } from './open-report.js';

/** lib/nmi_backtrace.c */
const BACKTRACE = /^NMI backtrace for cpu \d/;
const MAX_CPUS = 1024;

/**
 * The CPU that notices a stall asks the other CPUs for their backtraces, and each prints its own: with caller tags as a context
 * of its own, `[C0]`, though it is a part of the report of `[C1]`.
 */
export class RequestedBacktraces {
  readonly #askedBy = new Map<string, string>();

  /** The context whose report the line belongs to. */
  contextOf(line: KernelLine, open: ReadonlyMap<string, OpenReport>): string {
    const own = line.caller ?? '';
    if (open.has(own)) return own;
    if (BACKTRACE.test(line.text)) this.#begin(own, open);
    const asking = this.#askedBy.get(own);
    if (asking === undefined) return own;
    if (open.has(asking)) return asking;
    this.#askedBy.delete(own);
    return own;
  }

  #begin(own: string, open: ReadonlyMap<string, OpenReport>): void {
    const asking = [...open].find(([, report]) => report.asksBacktraces)?.[0];
    if (this.#askedBy.size >= MAX_CPUS) this.#askedBy.clear();
    if (asking === undefined) this.#askedBy.delete(own);
    else this.#askedBy.set(own, asking);
  }
}

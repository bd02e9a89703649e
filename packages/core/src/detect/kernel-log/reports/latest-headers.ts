import type { KernelLogKind } from '../kernel-log-finding.js';
import type { KernelLine } from '../lines/kernel-line.js';
import type { Rule } from '../rules/rule.js';

/** A stall on many CPUs waits up to 10 s for the backtrace of each; in seconds. */
const SAME_REPORT = 120;

/** The latest header of each kind. A part that the kernel only ever prints behind such a header is no failure of its own. */
export class LatestHeaders {
  readonly #latest = new Map<KernelLogKind, { readonly rule: Rule; readonly time: number | undefined }>();

  clear(): void {
    this.#latest.clear();
  }

  note(rule: Rule, { time }: KernelLine): void {
    this.#latest.set(rule.kind, { rule, time });
  }

  /** Whether the report that the line is a part of began before. */
  hasStart(rule: Rule, { time }: KernelLine): boolean {
    if (rule.follows !== true) return false;
    return (rule.continues ?? []).some((kind) => {
      const start = this.#latest.get(kind);
      if (start === undefined || start.rule === rule) return false;
      return time === undefined || start.time === undefined || time - start.time < SAME_REPORT;
    });
  }
}

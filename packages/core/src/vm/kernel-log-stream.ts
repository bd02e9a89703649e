import type { Console } from '../console/console.js';
import {
  createKernelLogDetector,
  showsTimestamps,
  type KernelLogDetector,
} from '../detect/kernel-log/kernel-log-detector.js';
import type { KernelLogFinding } from '../detect/kernel-log/kernel-log-finding.js';
import { Listeners } from '../util/async/listeners.js';
import { monotonicMs } from '../util/time/clock.js';

const SEEN_LINES = 5000;
/** After so long without output a report is complete. */
const QUIET_MS = 2000;

/** Reads the kernel's reports on a console once, for all that listen. `at` of its findings is on the clock of `monotonicMs`. */
export class KernelLogStream {
  readonly #console: Console;
  readonly #found = new Listeners<KernelLogFinding>();
  #detector: KernelLogDetector;
  #lastOutput = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(console: Console) {
    this.#console = console;
    this.#detector = this.#newDetector();
    console.onBytes((chunk) => {
      this.#lastOutput = monotonicMs();
      this.#tell(this.#detector.push(chunk, this.#lastOutput));
      this.#timer ??= this.#tickIn(QUIET_MS);
    });
  }

  /** Calls `listener` for each finding from now on; returns an unsubscribe function. */
  onFinding(listener: (finding: KernelLogFinding) => void): () => void {
    return this.#found.add(listener);
  }

  /** Completes reports after which nothing was printed for 2 s. */
  tick(): void {
    this.#tell(this.#detector.tick(monotonicMs()));
  }

  /** Completes reports that are still being printed. */
  flush(): void {
    this.#tell(this.#detector.end(monotonicMs()));
  }

  /** Starts from scratch: the guest is at another moment. */
  reset(): void {
    this.#detector = this.#newDetector();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#found.clear();
  }

  /** The kernel is known to print timestamps when it has done so before: a program's line has none. */
  #newDetector(): KernelLogDetector {
    return createKernelLogDetector({
      quietMs: QUIET_MS,
      timestamped: showsTimestamps(this.#console.lastLines(SEEN_LINES)),
    });
  }

  #tickIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const rest = this.#lastOutput + QUIET_MS - monotonicMs();
      this.#timer = rest > 0 ? this.#tickIn(rest) : undefined;
      this.tick();
    }, ms).unref();
  }

  #tell(findings: readonly KernelLogFinding[]): void {
    for (const finding of findings) this.#found.emit(finding);
  }
}

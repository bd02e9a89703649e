import type { Candidate, Finding } from '../../detect/finding.js';
import { parseBlockedTasks, sampleOfDump } from '../../detect/threads/blocked-tasks.js';
import type { DStateDetector } from '../../detect/threads/d-state-detector.js';
import { MAX_SAMPLE_BYTES, THREAD_SAMPLE_SCRIPT } from '../../detect/threads/thread-sample-script.js';
import { parseThreadSample, type ThreadSample } from '../../detect/threads/thread-sample.js';
import { QmpilotError } from '../../errors.js';
import { awaitWithin } from '../../util/async/deadline.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { VmContext } from '../context.js';
import { sysRqByAnyKeys } from '../input/sysrq-keys.js';

/** Rarely: a dump is printed on the serial console, which a person may be reading. */
const DUMP_INTERVAL_MS = 10_000;

export interface ThreadWatchOptions {
  readonly detector: DStateDetector;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly found: (findings: readonly Finding[]) => void;
}

/** Samples the guest's threads at an interval: by its sampling shell, and where that does not answer, by SysRq-w over QMP. */
export class ThreadWatch {
  readonly #context: VmContext;
  readonly #options: ThreadWatchOptions;
  #sample: ThreadSample | undefined;
  #error: QmpilotError | undefined;
  #dumpedAt = -Infinity;
  #endPause = () => {};
  #waiting: (() => void)[] = [];

  constructor(context: VmContext, options: ThreadWatchOptions) {
    this.#context = context;
    this.#options = options;
    void this.#loop();
  }

  get sample(): ThreadSample | undefined {
    return this.#sample;
  }

  /** Threads that have been in D state, but not long enough yet. */
  get candidates(): readonly Candidate[] {
    return this.#options.signal.aborted ? [] : this.#options.detector.candidates;
  }

  /** Samples without waiting for the interval; resolves when that sample has been taken, or has failed. */
  sampleNow(): Promise<void> {
    if (this.#options.signal.aborted) return Promise.resolve();
    this.#endPause();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Why the last sample failed; undefined when it did not. */
  get error(): QmpilotError | undefined {
    return this.#error;
  }

  async #loop(): Promise<void> {
    const { signal, intervalMs, detector, found, now } = this.#options;
    while (!signal.aborted) {
      // A request made while a sample was being taken waits for the next sample.
      const waiting = this.#waiting.splice(0);
      try {
        const sample = (await this.#byShell()) ?? (await this.#byDump());
        if (sample) {
          this.#sample = sample;
          this.#error = undefined;
          found(detector.push(sample, now()));
        }
      } catch (error) {
        if (!signal.aborted && error instanceof QmpilotError) this.#error = error;
      }
      for (const resolve of waiting) resolve();
      if (this.#waiting.length === 0) await this.#pause(intervalMs, signal).catch(() => {});
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return awaitWithin<void>({ awaited: 'the next sample' }, { signal }, (resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = resolve;
      return () => clearTimeout(timer);
    });
  }

  async #byShell(): Promise<ThreadSample | undefined> {
    const { signal } = this.#options;
    const shell = this.#context.samplingShell;
    if (!shell) return undefined;
    try {
      return parseThreadSample(
        (await shell.exec(THREAD_SAMPLE_SCRIPT, { signal, patience: '30s', maxOutput: MAX_SAMPLE_BYTES })).stdout,
      );
    } catch (error) {
      if (signal.aborted) throw error;
      return undefined;
    }
  }

  async #byDump(): Promise<ThreadSample | undefined> {
    const { signal } = this.#options;
    if (monotonicMs() - this.#dumpedAt < DUMP_INTERVAL_MS) return undefined;
    this.#dumpedAt = monotonicMs();
    return sampleOfDump(parseBlockedTasks((await sysRqByAnyKeys(this.#context, 'w', { signal })).join('\n')));
  }
}

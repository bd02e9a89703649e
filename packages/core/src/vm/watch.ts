import type { Finding } from '../detect/finding.js';
import { createKernelLogDetector } from '../detect/kernel-log/kernel-log-detector.js';
import { createDStateDetector, type DStateDetector } from '../detect/threads/d-state-detector.js';
import { THREAD_SAMPLE_SCRIPT } from '../detect/threads/thread-sample-script.js';
import { parseThreadSample, type ThreadSample } from '../detect/threads/thread-sample.js';
import { QmpilotError } from '../errors.js';
import { monotonicMs } from '../util/clock.js';
import { awaitWithin, pause, type WaitOptions } from '../util/deadline.js';
import { parseDuration, type Duration } from '../util/duration.js';
import type { Shell } from '../shell/shell.js';
import type { Vm } from './vm.js';

/** What to look for. */
export interface WatchSpec {
  /** Reports of the kernel on the serial console: all kinds (default), those named, or none. Hung tasks are among them. */
  readonly kernelLog?: boolean | readonly string[];
  /** `false` leaves hung-task reports out. Default true. */
  readonly hungTask?: boolean;
  /** Threads in uninterruptible sleep: needs a guest with a second out-of-band shell. Default off. */
  readonly dState?:
    | boolean
    | {
        /** Names of threads or processes; default all. */
        readonly comm?: RegExp;
        /** How long without progress; default 10 s. */
        readonly for?: Duration;
        /** Between two samples; default 1 s. */
        readonly interval?: Duration;
      };
}

export interface FirstOptions extends WaitOptions {
  /** Only findings of this kind. */
  readonly kind?: string | undefined;
}

const TICK_MS = 250;

/** Detectors at work on one guest, until `stop()` or a restore. Times of findings are ms since the watch began. */
export class Watch implements AsyncDisposable {
  readonly #begun = monotonicMs();
  readonly #findings: Finding[] = [];
  readonly #listeners = new Set<(finding: Finding) => void>();
  readonly #stopped = new AbortController();
  readonly #kernelLog = createKernelLogDetector();
  readonly #wantsKind: (kind: string) => boolean;
  readonly #dState: DStateDetector | undefined;
  readonly #undo: (() => void)[] = [];
  readonly #vm: Vm;
  #sample: ThreadSample | undefined;
  #samplingError: QmpilotError | undefined;

  /** @internal Use `vm.watch()`. */
  constructor(vm: Vm, spec: WatchSpec, signal: AbortSignal | undefined) {
    this.#vm = vm;
    this.#wantsKind = kindFilter(spec);
    this.#undo.push(vm.console.onBytes((chunk) => this.#take(this.#kernelLog.push(chunk, this.now))));
    const timer = setInterval(() => this.#take(this.#kernelLog.tick(this.now)), TICK_MS);
    this.#undo.push(() => clearInterval(timer));
    if (spec.dState) {
      const options = spec.dState === true ? {} : spec.dState;
      const forMs = parseDuration(options.for ?? '10s', 'dState.for');
      const interval = parseDuration(options.interval ?? '1s', 'dState.interval');
      const shell = vm.samplingShell;
      if (!shell) {
        this.#end();
        throw new QmpilotError('USAGE', 'D states cannot be watched: this guest has no second out-of-band shell', {
          hint: 'start a bash on another virtio console and name it as `samplingShell` in the description of the guest',
        });
      }
      this.#dState = createDStateDetector({ forMs, ...(options.comm && { comm: options.comm }) });
      void this.#sampleLoop(shell, this.#dState, interval);
    }
    const onAbort = () => this.#end();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#undo.push(() => signal?.removeEventListener('abort', onAbort));
    if (signal?.aborted) this.#end();
  }

  /** Milliseconds since the watch began. */
  get now(): number {
    return monotonicMs() - this.#begun;
  }

  get findings(): readonly Finding[] {
    return this.#findings;
  }

  /** The last look at the guest's threads; undefined before the first, and without `dState`. */
  get lastSample(): ThreadSample | undefined {
    return this.#sample;
  }

  /** Why the guest's threads could not be looked at last time; undefined when they could. */
  get samplingError(): QmpilotError | undefined {
    return this.#samplingError;
  }

  /** Calls `listener` for every finding from now on; gives the function that ends it. */
  onFinding(listener: (finding: Finding) => void): () => void {
    const own = (finding: Finding) => listener(finding);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /**
   * The first finding, also one that is there already.
   * @throws {TIMEOUT} after `timeout` (default none)
   * @throws {ABORTED}
   * @throws {QEMU_EXITED} when QEMU ends first
   * @throws {CLOSED} when the watch is stopped first
   */
  first(options: FirstOptions = {}): Promise<Finding> {
    const fits = ({ kind }: Finding) => options.kind === undefined || kind === options.kind;
    const awaited = options.kind === undefined ? 'a finding' : `a finding of kind ${options.kind}`;
    const details = () => ({ evidence: { console: this.#vm.console.lastLines(20) }, hint: this.#hint() });
    return awaitWithin<Finding>({ awaited, details }, options, (resolve, reject) => {
      const known = this.#findings.find(fits);
      if (known) return resolve(known);
      const stopped = () => reject(new QmpilotError('CLOSED', `the watch was stopped before ${awaited} came`));
      if (this.#stopped.signal.aborted) return stopped();
      void this.#vm.ended.then(reject);
      this.#stopped.signal.addEventListener('abort', stopped, { once: true });
      const forget = this.onFinding((finding) => {
        if (fits(finding)) resolve(finding);
      });
      return () => {
        forget();
        this.#stopped.signal.removeEventListener('abort', stopped);
      };
    });
  }

  /** Ends the watch; a report of the kernel that was still being printed is given before. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    this.#take(this.#kernelLog.end(this.now));
    this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #end(): void {
    this.#stopped.abort();
    for (const undo of this.#undo.splice(0)) undo();
  }

  #hint(): string {
    return this.#samplingError ? `the guest's threads could not be looked at: ${this.#samplingError.message}` : 'the detectors ran and saw nothing';
  }

  #take(findings: readonly Finding[]): void {
    for (const finding of findings) {
      if (!this.#wantsKind(finding.kind)) continue;
      this.#findings.push(finding);
      for (const listener of this.#listeners) listener(finding);
    }
  }

  async #sampleLoop(shell: Shell, detector: DStateDetector, interval: number): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        const { stdout } = await shell.exec(THREAD_SAMPLE_SCRIPT, { signal, timeout: '30s' });
        this.#sample = parseThreadSample(stdout);
        this.#samplingError = undefined;
        this.#take(detector.push(this.#sample, this.now));
      } catch (error) {
        if (!signal.aborted && error instanceof QmpilotError) this.#samplingError = error;
      }
      await pause(interval, signal).catch(() => {});
    }
  }
}

function kindFilter({ kernelLog = true, hungTask = true }: WatchSpec): (kind: string) => boolean {
  return (kind) => {
    if (kind === 'd-state') return true;
    if (kind === 'hung-task') return hungTask;
    return typeof kernelLog === 'boolean' ? kernelLog : kernelLog.includes(kind);
  };
}

import { PatternDetector } from '../../detect/declared/pattern-detector.js';
import type { Candidate, Finding } from '../../detect/finding.js';
import { createDStateDetector } from '../../detect/threads/d-state-detector.js';
import type { ThreadSample } from '../../detect/threads/thread-sample.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { Listeners } from '../../util/async/listeners.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration } from '../../util/time/duration.js';
import type { VmContext } from '../context.js';
import { awaitDecisions, type CandidateSource } from './candidates.js';
import { watchCheck } from './check-watch.js';
import { watchSilence, type SilenceWatch } from './silence-watch.js';
import { ThreadWatch } from './thread-watch.js';
import { checkWatchSpec, type WatchSpec } from './watch-spec.js';

export interface FirstOptions extends WaitOptions {
  /** Only findings of this kind. */
  readonly kind?: string | undefined;
}

/** Detectors at work on one guest, until `stop()` or a restore. Times of findings are ms since the watch began. */
export class Watch implements AsyncDisposable {
  readonly #begun = monotonicMs();
  readonly #findings: Finding[] = [];
  readonly #found = new Listeners<Finding>();
  readonly #stopped = new AbortController();
  readonly #patterns: PatternDetector;
  readonly #wantsKind: (kind: string) => boolean;
  readonly #undo: (() => void)[] = [];
  readonly #context: VmContext;
  readonly #threads: ThreadWatch | undefined;
  readonly #silence: SilenceWatch | undefined;

  /** @internal Use `vm.watch()`. */
  constructor(context: VmContext, spec: WatchSpec, signal: AbortSignal | undefined) {
    checkWatchSpec(spec, 'watch: spec');
    this.#context = context;
    this.#wantsKind = kindFilter(spec);
    this.#undo.push(
      context.kernelLog.onFinding((finding) => {
        const at = finding.at - this.#begun;
        // A report that began before the watch is not one of its findings.
        if (at >= 0) this.#takeReports([{ ...finding, at }]);
      }),
    );
    this.#patterns = new PatternDetector(spec.console ?? []);
    if (spec.console)
      this.#undo.push(context.console.onBytes((chunk) => this.#take(this.#patterns.push(chunk, this.now))));
    if (spec.dState) {
      const options = spec.dState === true ? {} : spec.dState;
      const forMs = parseDuration(options.for ?? '10s', 'dState.for');
      const interval = parseDuration(options.interval ?? '1s', 'dState.interval');
      const detector = createDStateDetector({ forMs, ...(options.comm && { comm: options.comm }) });
      this.#threads = new ThreadWatch(context, { detector, intervalMs: interval, ...this.#common() });
    }
    if (spec.silence) {
      const afterMs = parseDuration(spec.silence === true ? '60s' : spec.silence.for, 'silence.for');
      const silence = watchSilence(context, { afterMs, ...this.#common() });
      this.#silence = silence;
      this.#undo.push(() => silence.stop());
    }
    for (const check of spec.checks ?? []) watchCheck(context, check, this.#common());
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

  /**
   * Pending failures: threads that are in D state, but not for long enough yet, and a silent guest that is being
   * diagnosed. An attempt with a candidate is not clean: wait for `awaitCandidates()` before you say that nothing was found.
   */
  get candidates(): readonly Candidate[] {
    return [...(this.#threads?.candidates ?? []), ...(this.#silence?.candidates ?? [])];
  }

  /**
   * Samples the guest once more and waits until each pending failure has become a finding or has ended.
   * Candidates that appear later are not waited for. Resolves at once when there is none.
   * @returns the candidates that are still undecided 30 s after they were due: what was watched is not clean then
   * @throws {TIMEOUT} after `timeout` (default none)
   * @throws {ABORTED}
   */
  awaitCandidates(options: WaitOptions = {}): Promise<readonly Candidate[]> {
    return awaitDecisions(
      this.#candidateSource(() => true),
      options,
    );
  }

  /** The last sample of the guest's threads; undefined before the first, and without `dState`. */
  get lastSample(): ThreadSample | undefined {
    return this.#threads?.sample;
  }

  /** The error of the last sample of the guest's threads; undefined when it succeeded. */
  get samplingError(): QmpilotError | undefined {
    return this.#threads?.error;
  }

  /** Calls `listener` for every finding from now on; returns an unsubscribe function. */
  onFinding(listener: (finding: Finding) => void): () => void {
    return this.#found.add(listener);
  }

  /**
   * Waits for the first finding; returns at once when there is one. When the time is over and a failure is pending
   * (`candidates`), waits until that is decided: the result does not depend on the moment at which the failure began.
   * @throws {TIMEOUT} after `timeout` (default none), and the end of the candidates there are then
   * @throws {ABORTED}
   * @throws {QEMU_EXITED} when QEMU ends first
   * @throws {CLOSED} when the watch is stopped first
   */
  async first({ kind, ...options }: FirstOptions = {}): Promise<Finding> {
    const fits = (one: { readonly kind: string }) => kind === undefined || one.kind === kind;
    const awaited = kind === undefined ? 'a finding' : `a finding of kind ${kind}`;
    try {
      return await this.#next(fits, awaited, options);
    } catch (error) {
      if (!isQmpilotError(error, 'TIMEOUT')) throw error;
      return await this.#decide(fits, awaited, options.signal, error);
    }
  }

  #next(fits: (finding: Finding) => boolean, awaited: string, options: WaitOptions): Promise<Finding> {
    const details = () => ({ evidence: { console: this.#context.console.lastLines(20) }, hint: this.#hint() });
    return awaitWithin<Finding>({ awaited, details }, options, (resolve, reject) => {
      const known = this.#findings.find(fits);
      if (known) return resolve(known);
      const stopped = () => reject(new QmpilotError('CLOSED', `the watch was stopped before ${awaited} came`));
      if (this.#stopped.signal.aborted) return stopped();
      void this.#context.over.then(reject);
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

  /** @throws `timeout` when the candidates there are now have ended without a finding */
  async #decide(
    fits: (one: { readonly kind: string }) => boolean,
    awaited: string,
    signal: AbortSignal | undefined,
    timeout: QmpilotError,
  ): Promise<Finding> {
    const end = new AbortController();
    const wait = { signal: signal ? AbortSignal.any([signal, end.signal]) : end.signal };
    const none = async (): Promise<never> => {
      const undecided = await awaitDecisions(this.#candidateSource(fits), wait);
      if (undecided.length === 0) throw timeout;
      throw new QmpilotError(
        'TIMEOUT',
        `${timeout.message}; not decided: ${undecided.map(({ title }) => title).join(', ')}`,
        {
          cause: timeout,
          evidence: timeout.evidence,
          ...(timeout.hint !== undefined && { hint: timeout.hint }),
        },
      );
    };
    try {
      return await Promise.race([this.#next(fits, awaited, wait), none()]);
    } finally {
      end.abort();
    }
  }

  #candidateSource(fits: (one: { readonly kind: string }) => boolean): CandidateSource {
    return {
      sampleNow: async () => this.#threads?.sampleNow(),
      candidates: () => this.candidates.filter(fits),
      now: () => this.now,
      ended: Promise.race([this.#context.over, aborted(this.#stopped.signal)]),
    };
  }

  /** Ends the watch; completes a report of the kernel that is still being printed. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    this.#context.kernelLog.flush();
    this.#take(this.#patterns.end(this.now));
    this.#end();
  }

  /** Stops it: for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #end(): void {
    this.#stopped.abort();
    for (const undo of this.#undo.splice(0)) undo();
  }

  #hint(): string {
    return this.samplingError
      ? `the guest's threads could not be looked at: ${this.samplingError.message}`
      : 'the detectors ran and saw nothing';
  }

  #takeReports(findings: readonly Finding[]): void {
    this.#take(findings.filter(({ kind }) => this.#wantsKind(kind)));
  }

  #take(findings: readonly Finding[]): void {
    for (const finding of findings) {
      this.#findings.push(finding);
      this.#found.emit(finding);
    }
  }

  #common() {
    return {
      signal: this.#stopped.signal,
      now: () => this.now,
      found: (findings: readonly Finding[]) => this.#take(findings),
    };
  }
}

function kindFilter({ kernelLog = true, hungTask = true }: WatchSpec): (kind: string) => boolean {
  return (kind) => {
    if (kind === 'hung-task') return hungTask;
    return typeof kernelLog === 'boolean' ? kernelLog : kernelLog.some((one) => one === kind);
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

import { ByteTail } from '../console/byte-tail.js';
import type { Finding } from '../detect/finding.js';
import { createKernelLogDetector, type KernelLogDetector } from '../detect/kernel-log/kernel-log-detector.js';
import { monotonicMs } from '../util/time/clock.js';
import type { VmEvent } from '../vm/events.js';
import type { Vm } from '../vm/vm.js';
import type { WatchSpec } from '../vm/watch/watch-spec.js';
import type { Watch } from '../vm/watch/watch.js';

export interface EvidenceOptions {
  readonly timestamped: boolean;
  readonly watch?: Omit<WatchSpec, 'kernelLog' | 'hungTask'> | undefined;
  /** When the test's time is over, on the monotonic clock; undefined when it has no limit. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CONSOLE_BYTES = 1 << 20;
const MAX_EVENTS = 10_000;
const TICK_MS = 250;

const known = new WeakMap<Vm, VmEvidence>();

/** Records the console, events and kernel reports of a VM during a test. */
export class VmEvidence implements AsyncDisposable {
  readonly deadline: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly events: VmEvent[] = [];
  readonly #vm: Vm;
  readonly #options: EvidenceOptions;
  readonly #begun = monotonicMs();
  readonly #console = new ByteTail(CONSOLE_BYTES);
  readonly #undo: (() => void)[];
  #findings: Finding[] = [];
  #detector: KernelLogDetector;
  #watch: Watch | undefined;

  /** Starts with a VM that is loaded and paused. */
  constructor(vm: Vm, options: EvidenceOptions) {
    this.#vm = vm;
    this.#options = options;
    this.deadline = options.deadline;
    this.signal = options.signal;
    this.#detector = createKernelLogDetector(options);
    const timer = setInterval(() => this.#take(this.#detector.tick(this.#now)), TICK_MS).unref();
    this.#undo = [
      vm.console.onBytes((chunk) => {
        this.#console.push(chunk);
        this.#take(this.#detector.push(chunk, this.#now));
      }),
      vm.onEvent((event) => this.#onEvent(event)),
      // Another moment of the guest: what was found before is not of it.
      vm.console.channel.onAttach(() => {
        this.#detector = createKernelLogDetector(options);
        this.#findings = [];
      }),
      () => clearInterval(timer),
    ];
    this.#startWatch();
    known.set(vm, this);
  }

  static of(vm: Vm): VmEvidence | undefined {
    return known.get(vm);
  }

  /** Raw bytes of the serial console, the last MiB. */
  get console(): Buffer {
    return this.#console.bytes();
  }

  /** Findings since the VM started or was restored, including a report that the kernel is still printing. */
  findings(): readonly Finding[] {
    this.#take(this.#detector.end(this.#now));
    this.#detector = createKernelLogDetector(this.#options);
    return this.#findings;
  }

  /** Time of the test that is left, in ms; undefined when it has no limit. */
  get remaining(): number | undefined {
    return this.deadline === undefined ? undefined : this.deadline - monotonicMs();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo.splice(0)) undo();
    await this.#watch?.stop();
  }

  get #now(): number {
    return monotonicMs() - this.#begun;
  }

  #onEvent(event: VmEvent): void {
    if (event.type === 'finding') return this.#take([event.finding]);
    if (this.events.length < MAX_EVENTS) this.events.push({ ...event, at: Math.round(event.at - this.#begun) });
    if (event.type === 'restored') this.#startWatch();
  }

  #startWatch(): void {
    if (this.#options.watch)
      this.#watch = this.#vm.watch({ ...this.#options.watch, kernelLog: false, hungTask: false });
  }

  /** A watch of the test's own finds the same once more. */
  #take(findings: readonly Finding[]): void {
    for (const finding of findings) {
      if (this.#findings.some((one) => isSame(one, finding))) continue;
      this.#findings.push(finding);
      if (this.events.length < MAX_EVENTS) this.events.push({ type: 'finding', finding, at: Math.round(finding.at) });
    }
  }
}

function isSame(one: Finding, other: Finding): boolean {
  return (
    one.signature === other.signature && one.task?.pid === other.task?.pid && one.evidence[0] === other.evidence[0]
  );
}

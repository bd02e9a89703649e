import type { Console } from '../../console/console.js';
import { panicOf } from '../../detect/kernel-log/kernel-log-finding.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { VmEvent } from '../events.js';
import type { KernelLogStream } from '../kernel-log-stream.js';

/** Records what `diagnose` needs to know of the past, since the guest was started, restored or reset. */
export class LifeRecorder {
  pvpanic = false;
  watchdog: string | undefined;
  panic: string | undefined;
  readonly #kernelLog: KernelLogStream;
  #lastOutput: number | undefined;

  constructor(
    console: Console,
    kernelLog: KernelLogStream,
    onEvent: (listener: (event: VmEvent) => void) => () => void,
  ) {
    this.#kernelLog = kernelLog;
    console.onBytes(() => (this.#lastOutput = monotonicMs()));
    kernelLog.onFinding((finding) => (this.panic = panicOf(finding) ?? this.panic));
    onEvent((event) => {
      if (event.type !== 'qmp') return;
      if (event.event === 'GUEST_PANICKED') this.pvpanic = true;
      if (event.event === 'WATCHDOG') this.watchdog = String(event.data['action']);
      if (event.event === 'RESET') this.reset();
    });
  }

  /** How long the console has been silent; undefined when it never said anything. */
  get consoleQuietMs(): number | undefined {
    // After pvpanic the kernel prints nothing more that belongs to the report.
    if (this.pvpanic) this.#kernelLog.flush();
    else this.#kernelLog.tick();
    return this.#lastOutput === undefined ? undefined : monotonicMs() - this.#lastOutput;
  }

  reset(): void {
    this.pvpanic = false;
    this.watchdog = undefined;
    this.panic = undefined;
    this.#lastOutput = undefined;
  }
}

import type { Console } from '../../console/console.js';
import { createKernelLogDetector } from '../../detect/kernel-log/kernel-log-detector.js';
import { monotonicMs } from '../../util/clock.js';
import type { VmEvent } from '../events.js';

/** Records what `diagnose` needs to know of the past. Starts from scratch with each machine. */
export class LifeRecorder {
  pvpanic = false;
  watchdog: string | undefined;
  panic: string | undefined;
  #lastOutput: number | undefined;
  #kernelLog = createKernelLogDetector();

  constructor(console: Console, onEvent: (listener: (event: VmEvent) => void) => () => void) {
    console.onBytes((chunk) => {
      this.#lastOutput = monotonicMs();
      this.#read(this.#kernelLog.push(chunk, this.#lastOutput));
    });
    onEvent((event) => {
      if (event.type === 'started' || event.type === 'restored') this.#begin();
      if (event.type !== 'qmp') return;
      if (event.event === 'GUEST_PANICKED') this.pvpanic = true;
      if (event.event === 'WATCHDOG') this.watchdog = String(event.data['action']);
      if (event.event === 'RESET') this.#begin();
    });
  }

  /** How long the console has been silent; undefined when it never said anything. */
  get consoleQuietMs(): number | undefined {
    this.#read(this.#kernelLog.tick(monotonicMs()));
    return this.#lastOutput === undefined ? undefined : monotonicMs() - this.#lastOutput;
  }

  #begin(): void {
    this.pvpanic = false;
    this.watchdog = undefined;
    this.panic = undefined;
    this.#lastOutput = undefined;
    this.#kernelLog = createKernelLogDetector();
  }

  #read(findings: ReturnType<ReturnType<typeof createKernelLogDetector>['push']>): void {
    const fatal = findings.find(({ kind, panic }) => kind === 'kernel-panic' || panic !== undefined);
    if (fatal) this.panic = fatal.title;
  }
}

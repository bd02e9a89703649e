import { formatTimeSpan } from '../shutdown/time-span.js';

/** Activity of one virtual CPU while it was observed. */
export interface CpuActivity {
  readonly index: number;
  /** Share of one host CPU that its thread used, 0 to 1; undefined where the host does not say. */
  readonly busy?: number;
  /** Share of the looks, 0 to 1, that found it halted, waiting for an interrupt; undefined where QEMU does not say. */
  readonly halted?: number;
}

/** Signs of life of a VM, seen from outside at one moment. Times are ms ago. */
export interface LifeSigns {
  /** How QEMU ended, when it has: `was killed by SIGKILL`. */
  readonly qemuEnd?: string;
  /** QMP's `query-status`: `running`, `paused`, `guest-panicked`, `io-error`, ... Undefined when QMP does not answer. */
  readonly runState?: string;
  /** A GUEST_PANICKED event (pvpanic) came. */
  readonly pvpanic?: boolean;
  /** The action of the last WATCHDOG event. */
  readonly watchdog?: string;
  /** Title of a panic that the console showed. */
  readonly panic?: string;
  /** Time since the last output on the console; undefined when there was none. */
  readonly consoleQuietMs?: number;
  /** Whether the console shell answered; undefined for a guest without one. */
  readonly shellAnswers?: boolean;
  readonly cpus: readonly CpuActivity[];
}

/** The state of a silent guest. */
export type LifeState =
  /** QEMU's process has ended. */
  | 'qemu-gone'
  /** The guest's kernel panicked: by pvpanic, or on the console. */
  | 'panicked'
  /** A watchdog device expired. */
  | 'watchdog'
  /** QEMU does not run the guest: paused, a disk error, an internal error. */
  | 'stopped'
  /** QEMU's process is there and its monitor does not answer. */
  | 'qemu-stuck'
  /** The console shell answers, or the console continues. */
  | 'alive'
  /** Nothing is heard, and at least one CPU is always busy. */
  | 'spinning'
  /** Nothing is heard, and the CPUs are busy, with idle phases. */
  | 'working'
  /** Nothing is heard, and all CPUs are idle. */
  | 'idle'
  /** Nothing is heard, and the activity of the CPUs is unknown. */
  | 'silent';

/** The state that a VM's signs of life show, and why. */
export interface Diagnosis {
  readonly state: LifeState;
  /** Why, as a sentence. */
  readonly reason: string;
}

const SPINS = 0.9;
const RESTS = 0.05;
const HALTED = 0.95;

/** Tells why a guest is silent. `quietMs`: time without output after which a console counts as silent. */
export function diagnoseLife(signs: LifeSigns, { quietMs }: { readonly quietMs: number }): Diagnosis {
  if (signs.qemuEnd !== undefined) return { state: 'qemu-gone', reason: `QEMU ${signs.qemuEnd}` };
  if (signs.pvpanic === true || signs.runState === 'guest-panicked')
    return { state: 'panicked', reason: withTitle('the guest told QEMU that its kernel panicked', signs.panic) };
  if (signs.panic !== undefined)
    return { state: 'panicked', reason: withTitle('the console shows a panic', signs.panic) };
  if (signs.watchdog !== undefined)
    return { state: 'watchdog', reason: `the watchdog expired (action ${signs.watchdog})` };
  if (signs.runState === undefined)
    return { state: 'qemu-stuck', reason: 'QEMU runs, but its monitor does not answer' };
  if (signs.runState !== 'running')
    return { state: 'stopped', reason: `QEMU does not run the guest: its state is ${signs.runState}` };
  const quiet = quietText(signs);
  if (signs.shellAnswers === true) return { state: 'alive', reason: `the console shell answers; ${quiet}` };
  if (signs.consoleQuietMs !== undefined && signs.consoleQuietMs < quietMs)
    return {
      state: 'alive',
      reason: `the console continues (${quiet})${signs.shellAnswers === false ? ', but the console shell does not answer' : ''}`,
    };
  const unheard = signs.shellAnswers === false ? `${quiet}, the console shell does not answer` : quiet;
  return silent(signs.cpus, unheard);
}

function silent(cpus: readonly CpuActivity[], unheard: string): Diagnosis {
  const known = cpus.filter(({ busy, halted }) => busy !== undefined || halted !== undefined);
  if (known.length === 0) return { state: 'silent', reason: unheard };
  const spinning = known.filter(spins);
  if (spinning.length > 0) {
    const names = spinning.map(({ index }) => index).join(', ');
    return {
      state: 'spinning',
      reason: `${unheard}; ${spinning.length} of ${cpus.length} virtual CPUs are always busy (${spinning.length === 1 ? 'CPU' : 'CPUs'} ${names})`,
    };
  }
  if (known.every(rests)) {
    const all = cpus.length === 1 ? 'its virtual CPU is' : `all ${cpus.length} virtual CPUs are`;
    return { state: 'idle', reason: `${unheard}; ${all} idle: the guest waits for something` };
  }
  return { state: 'working', reason: `${unheard}; the virtual CPUs are busy, with idle phases` };
}

/** Whether it was halted says more than how much of the host it got: a busy host gives less. */
function spins({ busy, halted }: CpuActivity): boolean {
  return halted === undefined ? (busy ?? 0) >= SPINS : halted === 0 && (busy ?? 1) > RESTS;
}

function rests({ busy, halted }: CpuActivity): boolean {
  return halted === undefined ? (busy ?? 0) < RESTS : halted >= HALTED || (busy ?? 1) < RESTS;
}

function quietText({ consoleQuietMs }: LifeSigns): string {
  return consoleQuietMs === undefined
    ? 'nothing ever came on the console'
    : `nothing on the console for ${formatTimeSpan(consoleQuietMs)}`;
}

function withTitle(text: string, title: string | undefined): string {
  return title === undefined ? text : `${text}: ${title}`;
}

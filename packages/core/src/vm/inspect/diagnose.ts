import { diagnoseLife, type CpuActivity, type Diagnosis, type LifeSigns } from '../../detect/life/life-signs.js';
import { isQmpilotError } from '../../errors.js';
import type { Machine } from '../../qemu/process/machine.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import type { VmContext } from '../context.js';
import { watchCpus } from './cpu-activity.js';

/** Limits of `vm.diagnose`. */
export interface DiagnoseOptions extends Pick<WaitOptions, 'signal'> {
  /** How long without output makes a console silent; default 10 s. */
  readonly quiet?: Duration | undefined;
  /** How long the virtual CPUs are sampled; default 1 s. */
  readonly window?: Duration | undefined;
  /** How long the console shell may take to answer; default 5 s. */
  readonly shellTimeout?: Duration | undefined;
}

/** The state of a VM as seen from outside, with the signs that it was concluded from. */
export interface VmDiagnosis extends Diagnosis {
  /** What it was concluded from. */
  readonly signs: LifeSigns;
  /** The last lines of the console, oldest first; text of the guest. */
  readonly console: readonly string[];
}

const CONSOLE_LINES = 20;

/** Looks at the VM from outside, without changing it. */
export async function diagnose(context: VmContext, options: DiagnoseOptions): Promise<VmDiagnosis> {
  const { slot, machine, console, life: recorder } = context;
  const quietMs = parseDuration(options.quiet ?? '10s', 'quiet');
  const windowMs = parseDuration(options.window ?? '1s', 'window');
  const shellTimeout = parseDuration(options.shellTimeout ?? '5s', 'shellTimeout');
  const shell = slot.sampling ?? slot.shell;
  const wait = { signal: options.signal, patience: 5000 + windowMs };
  const [runState, shellAnswers, cpus] = machine.process.exit
    ? [undefined, undefined, []]
    : await Promise.all([
        askRunState(machine, wait),
        shell && answers(shell.ping({ signal: options.signal, timeout: shellTimeout })),
        watchCpus(machine.qmp, machine.process.pid, windowMs, wait).catch(orElse<CpuActivity[]>(options.signal, [])),
      ]);
  const { exit } = machine.process;
  const { consoleQuietMs } = recorder;
  const signs: LifeSigns = {
    ...(exit && { qemuEnd: exit.signal ? `was killed by ${exit.signal}` : `exited with status ${exit.code}` }),
    ...(runState !== undefined && { runState }),
    ...(recorder.pvpanic && { pvpanic: true }),
    ...(recorder.watchdog !== undefined && { watchdog: recorder.watchdog }),
    ...(recorder.panic !== undefined && { panic: recorder.panic }),
    ...(consoleQuietMs !== undefined && { consoleQuietMs }),
    ...(shellAnswers !== undefined && { shellAnswers }),
    cpus,
  };
  return { ...diagnoseLife(signs, { quietMs }), signs, console: console.lastLines(CONSOLE_LINES) };
}

async function askRunState(machine: Machine, wait: WaitOptions): Promise<string | undefined> {
  return machine.qmp
    .execute('query-status', undefined, wait)
    .then(({ status }) => status, orElse<string | undefined>(wait.signal, undefined));
}

async function answers(ping: Promise<void>): Promise<boolean> {
  return ping.then(
    () => true,
    (error: unknown) => {
      if (isQmpilotError(error, 'ABORTED')) throw error;
      return false;
    },
  );
}

/** Takes a missing answer for a sign, and throws only when the caller aborted. */
function orElse<T>(signal: AbortSignal | undefined, fallback: T): (error: unknown) => T {
  return (error) => {
    if (signal?.aborted) throw error;
    return fallback;
  };
}

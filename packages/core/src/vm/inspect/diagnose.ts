import { diagnoseLife, type CpuActivity, type Diagnosis, type LifeSigns } from '../../detect/life/life-signs.js';
import { isQmpilotError } from '../../errors.js';
import type { Machine } from '../../qemu/process/machine.js';
import type { OutOfBandShell } from '../../shell/console-shell/console-shell.js';
import type { WaitOptions } from '../../util/deadline.js';
import { parseDuration, type Duration } from '../../util/duration.js';
import type { Vm } from '../vm.js';
import { watchCpus } from './cpu-activity.js';
import type { LifeRecorder } from './life-recorder.js';

/** How long `vm.diagnose` looks, and what counts as quiet. */
export interface DiagnoseOptions extends Pick<WaitOptions, 'signal'> {
  /** From when on a console that says nothing counts as silent; default 10 s. */
  readonly quiet?: Duration | undefined;
  /** How long the virtual CPUs are looked at; default 1 s. */
  readonly window?: Duration | undefined;
  /** How long the out-of-band shell may take to answer; default 5 s. */
  readonly shellTimeout?: Duration | undefined;
}

/** The state of a vm seen from outside, with what it was concluded from. */
export interface VmDiagnosis extends Diagnosis {
  /** What it was concluded from. */
  readonly signs: LifeSigns;
  /** The last lines of the console, oldest first; text of the guest. */
  readonly console: readonly string[];
}

const LINES = 20;

/** The body of `vm.diagnose`: looks at the vm from outside, and leaves it as it is. */
export async function diagnose(
  vm: Vm,
  machine: Machine,
  recorder: LifeRecorder,
  options: DiagnoseOptions,
): Promise<VmDiagnosis> {
  const quietMs = parseDuration(options.quiet ?? '10s', 'quiet');
  const windowMs = parseDuration(options.window ?? '1s', 'window');
  const shellTimeout = parseDuration(options.shellTimeout ?? '5s', 'shellTimeout');
  const shell = shellOf(vm);
  const wait = { signal: options.signal, timeout: 5000 + windowMs };
  const [runState, shellAnswers, cpus] = machine.process.exit
    ? [undefined, undefined, []]
    : await Promise.all([
        askRunState(machine, wait),
        shell && answers(shell.ping({ signal: options.signal, timeout: shellTimeout })),
        watchCpus(machine.qmp, machine.process.pid, windowMs, wait).catch(giveUp<CpuActivity[]>(options.signal, [])),
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
  return { ...diagnoseLife(signs, { quietMs }), signs, console: vm.console.lastLines(LINES) };
}

function shellOf(vm: Vm): OutOfBandShell | undefined {
  try {
    return vm.samplingShell ?? vm.shell;
  } catch (error) {
    if (isQmpilotError(error, 'USAGE')) return undefined;
    throw error;
  }
}

async function askRunState(machine: Machine, wait: WaitOptions): Promise<string | undefined> {
  return machine.qmp
    .execute('query-status', undefined, wait)
    .then(({ status }) => status, giveUp<string | undefined>(wait.signal, undefined));
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

/** That something does not answer is what is looked for; only the caller's own end is an error. */
function giveUp<T>(signal: AbortSignal | undefined, instead: T): (error: unknown) => T {
  return (error) => {
    if (signal?.aborted) throw error;
    return instead;
  };
}

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describeBoot, formatBootProgress } from '../../detect/life/boot-stage.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { GuestDescription, PreparedGuest } from '../../guests/guest.js';
import type { MachineSpec } from '../../qemu/command-line/arguments.js';
import { chooseAccelerator, defaultCpu, type Accelerator } from '../../qemu/host/accelerator.js';
import { findQemu } from '../../qemu/host/binary.js';
import { acquireHostDirectories, makeVmDirectory, releaseHostDirectories } from '../../qemu/host/directories.js';
import { startMachine } from '../../qemu/process/machine.js';
import type { SnapshotContext } from '../../snapshot/context.js';
import { overlayDisks } from '../../snapshot/strategies/overlay.js';
import { planRam, removeRamFile } from '../../snapshot/strategies/ram-file.js';
import { monotonicMs } from '../../util/clock.js';
import { pause, type WaitOptions } from '../../util/deadline.js';
import { parseDuration } from '../../util/duration.js';
import { createFamily } from '../create-family.js';
import type { Vm } from '../vm.js';
import { awaitPrompt } from './await-prompt.js';
import { startScriptedVm } from './boot-script.js';
import { startShells } from './start-shells.js';

export interface BootOptions extends WaitOptions {
  /** QEMU's binary, unless the guest has a start script; default `$QMPILOT_QEMU`, else `qemu-system-x86_64` on PATH. */
  readonly qemu?: string | undefined;
  /** `auto` (default): KVM where this guest's kernel has shown that it runs under it, else TCG. */
  readonly accelerator?: Accelerator | 'auto' | undefined;
  /** Virtual CPUs; default the guest's own wish. */
  readonly cpus?: number | undefined;
  readonly memoryMiB?: number | undefined;
  /** `std`: a graphics card, which `vm.screenshot` needs; default the guest's own wish, `none` where it has none. */
  readonly display?: 'none' | 'std' | undefined;
  /** Further QEMU arguments, as they are. */
  readonly qemuArguments?: readonly string[] | undefined;
  /** Lines about what takes long, for people. */
  readonly onProgress?: ((message: string) => void) | undefined;
  /** Called with the vm before its guest runs: to see all of its boot. */
  readonly onStart?: ((vm: Vm) => void) | undefined;
}

/** TCG on a busy host with two cores takes 20 s. */
const BOOT_TIMEOUT = '3m';

/**
 * Boots a guest and waits until its shells answer. The image is made first where it is missing.
 * @throws {TOOL_MISSING} {GUEST_BUILD} {NO_SPACE} {QEMU_START}
 * @throws {TIMEOUT} when the guest does not answer within `timeout` (default 3 min, counted from QEMU's start)
 * @throws {QEMU_EXITED} {SHELL_LOST} when it fails on the way, with its last console lines
 * @throws {ABORTED}
 */
export async function boot(description: GuestDescription, options: BootOptions = {}): Promise<Vm> {
  const { signal, onProgress } = options;
  const guest = await description.prepare({ signal, onProgress });
  const vm = guest.script ? await startScriptedVm(guest, guest.script, options) : await startOwnVm(guest, options);
  const begun = monotonicMs();
  try {
    options.onStart?.(vm);
    await vm.qmp.execute('cont', undefined, { signal });
    await awaitReady(vm, guest, options);
    onProgress?.(`booted in ${((monotonicMs() - begun) / 1000).toFixed(1)} s`);
    return vm;
  } catch (error) {
    await vm.close();
    throw error;
  }
}

async function startOwnVm(guest: PreparedGuest, options: BootOptions): Promise<Vm> {
  const binary = await findQemu(options.qemu);
  const accelerator = await chooseAccelerator(
    { binary, kernel: guest.kernel?.kernel, wanted: options.accelerator },
    { signal: options.signal },
  );
  options.onProgress?.(`QEMU ${binary.version.text}, ${accelerator.accelerator}: ${accelerator.reason}`);
  const directories = await acquireHostDirectories();
  return startVm(guest, { binary, directories }, accelerator, options).catch(async (error: unknown) => {
    await releaseHostDirectories();
    throw error;
  });
}

async function startVm(
  guest: PreparedGuest,
  context: SnapshotContext,
  accelerator: Awaited<ReturnType<typeof chooseAccelerator>>,
  options: BootOptions,
): Promise<Vm> {
  const directory = await makeVmDirectory(context.directories);
  const memoryMiB = atLeastOne(options.memoryMiB ?? guest.memoryMiB, 'memoryMiB');
  const cpus = atLeastOne(options.cpus ?? guest.cpus, 'cpus');
  const ram = await planRam(context, memoryMiB, options.onProgress ?? (() => {}));
  try {
    const first = join(directory, 'm0');
    await mkdir(first, { mode: 0o700 });
    const disks = await overlayDisks(guest.disks, first);
    const spec: MachineSpec = {
      accelerator: accelerator.accelerator,
      machine: 'q35',
      cpu: defaultCpu(accelerator.accelerator),
      cpus,
      memoryMiB,
      ram,
      ...(guest.kernel && { kernel: guest.kernel }),
      disks,
      virtioConsoles: guest.virtioConsoles,
      guestAgent: guest.guestAgent ?? false,
      network: guest.network,
      display: options.display ?? guest.display ?? 'none',
      extra: options.qemuArguments ?? [],
    };
    const machine = await startMachine(spec, {
      signal: options.signal,
      name: guest.name,
      binary: context.binary,
      directory: first,
    });
    const family = createFamily({
      guest,
      context,
      accelerator,
    });
    return family.makeVm(machine, directory);
  } catch (error) {
    if (ram.path !== undefined) await removeRamFile(ram.path);
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

function atLeastOne(value: number, name: string): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new QmpilotError('USAGE', `${name}: ${value} is not a whole number of 1 or more`);
}

/** Ready: the console shell answers, and the serial console has come to its prompt, as far as the guest has them. */
async function awaitReady(vm: Vm, guest: PreparedGuest, options: BootOptions): Promise<void> {
  const failed = new AbortController();
  const timeout = parseDuration(options.timeout ?? BOOT_TIMEOUT, 'timeout');
  const wait = { timeout, signal: options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal };
  const watch = vm.watch({ kernelLog: ['kernel-panic'], hungTask: false });
  watch.onFinding(({ title }) =>
    failed.abort(
      new QmpilotError('SHELL_LOST', `the guest's kernel panicked on its way up: ${title}`, {
        evidence: { console: vm.console.lastLines(40) },
        hint: 'the panic names what it missed: often a root disk, or a driver that is not in the initrd',
      }),
    ),
  );
  void vm.ended.then((error) => failed.abort(error));
  try {
    if (guest.script?.startShells && guest.login) await startShells(vm, guest.login, wait);
    await Promise.all([
      guest.shell === undefined ? undefined : vm.shell.ready(wait),
      guest.samplingShell === undefined ? undefined : vm.samplingShell.ready(wait),
      guest.login && awaitPrompt(vm.console, guest.login.prompt, wait),
    ]);
  } catch (error) {
    // A console ends a moment before its QEMU has.
    if (isQmpilotError(error, 'CONSOLE_CLOSED')) await Promise.race([vm.ended, pause(2000)]);
    const reason: unknown = failed.signal.reason;
    if (failed.signal.aborted && reason instanceof QmpilotError) throw reason;
    if (!(error instanceof QmpilotError) || options.signal?.aborted) throw error;
    throw await notUp(vm, guest, timeout, error);
  } finally {
    await watch.stop();
    failed.abort();
  }
}

async function notUp(vm: Vm, guest: PreparedGuest, timeout: number, cause: QmpilotError): Promise<QmpilotError> {
  const progress = describeBoot(vm.console.lastLines(2000));
  const diagnosis = await vm.diagnose({ shellTimeout: '1s' });
  const lines = vm.console.lastLines(20);
  return new QmpilotError(
    cause.code,
    `the guest ${guest.name} did not come up within ${timeout / 1000} s: ${formatBootProgress(progress)}; ${diagnosis.reason} (${cause.message})`,
    {
      cause,
      evidence: { console: lines, stage: progress.stage, state: diagnosis.state, signs: diagnosis.signs },
      hint:
        diagnosis.state === 'alive' || diagnosis.state === 'working'
          ? 'it is still at work: a slow host needs a longer timeout'
          : 'look at its console below',
    },
  );
}

import { panicOf } from '../../detect/kernel-log/kernel-log-finding.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { SetupTask } from '../../guests/debian/setup-step.js';
import { flattenOverlay } from '../../snapshot/strategies/overlay.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { withinLimit } from '../../util/async/limit.js';
import { parseDuration } from '../../util/time/duration.js';
import { onFullDisk } from '../full-disk.js';
import type { BootOptions } from '../start/boot-options.js';
import { boot } from '../start/boot.js';
import type { Vm } from '../vm.js';
import type { SetupFunction } from './setup-function.js';

const DEFAULT_TIMEOUT = '30m';
const MAX_POWEROFF_MS = 3 * 60_000;

/**
 * Boots the guest, runs the function in it, powers off, and writes what changed on the root disk to `task.disk`.
 * @returns the output of `task.lastCommand`
 * @throws {GUEST_BUILD} when the function throws, the guest fails, or it does not power off
 * @throws {NO_SPACE} {ABORTED} and what a boot throws
 */
export async function runSetup(
  setup: SetupFunction,
  machine: Pick<BootOptions, 'cpus' | 'memoryMiB'>,
  task: SetupTask,
): Promise<string> {
  const { guest, lastCommand, onProgress } = task;
  const timeout = parseDuration(setup.timeout ?? DEFAULT_TIMEOUT, 'timeout');
  const failed = new AbortController();
  const fail = (error: QmpilotError) => failed.abort(error);
  const signal = task.signal ? AbortSignal.any([task.signal, failed.signal]) : failed.signal;
  const below = { name: guest.name, prepare: () => Promise.resolve(guest) };
  const vm = await boot(below, {
    ...machine,
    signal,
    onProgress,
    onStart: (started) => onFullDisk(started, fail),
  }).catch((error: unknown) => {
    throw task.signal?.aborted || !failed.signal.aborted ? error : failed.signal.reason;
  });
  const watch = vm.watch({ hungTask: false });
  try {
    watch.onFinding((finding) => {
      const panic = panicOf(finding);
      if (panic !== undefined) fail(new QmpilotError('GUEST_BUILD', `the guest's kernel panicked: ${panic}`));
    });
    void vm.ended.then(fail);
    onProgress(`running the setup ${setup.name}`);
    const awaited = `the setup ${setup.name}`;
    await withinLimit({ awaited, timeout, signal }, async (limit = signal) => {
      await setup.run(vm, { signal: limit, note: (text) => onProgress(`setup: ${text}`) });
    });
    assertRunning(vm);
    const { stdout } = await vm.expectOk(lastCommand, { signal });
    await powerOff(vm, { signal, timeout: Math.min(timeout, MAX_POWEROFF_MS) });
    onProgress('keeping what changed on the disk');
    await keepDisk(vm, task);
    return stdout;
  } catch (error) {
    if (task.signal?.aborted) throw error;
    throw setupError(setup, vm, failed.signal.aborted ? failed.signal.reason : error);
  } finally {
    await watch.stop();
    await vm.close();
  }
}

function assertRunning(vm: Vm): void {
  if (vm.state === 'running') return;
  throw new QmpilotError('GUEST_BUILD', `the VM is ${vm.state} at its end`, {
    hint: 'leave it running: it is powered off afterwards',
  });
}

async function powerOff(vm: Vm, wait: WaitOptions): Promise<void> {
  const { outcome, reason } = await vm.poweroff(wait);
  if (outcome === 'clean' || outcome === 'slow') return;
  throw new QmpilotError('GUEST_BUILD', `the guest did not power off: ${outcome}: ${reason}`, {
    hint: 'stop what keeps it from powering off at the end of the function',
  });
}

async function keepDisk(vm: Vm, { guest, disk, signal }: SetupTask): Promise<void> {
  const [below] = guest.disks;
  const overlay = vm.disks.find(({ id }) => id === below?.id);
  if (!below || !overlay) throw new QmpilotError('INTERNAL', 'the guest of a setup has no root disk');
  await flattenOverlay(overlay.file, below, disk, signal);
}

function setupError({ name }: SetupFunction, vm: Vm, error: unknown): unknown {
  if (isQmpilotError(error, 'NO_SPACE')) return error;
  const ours = error instanceof QmpilotError ? error : undefined;
  return new QmpilotError('GUEST_BUILD', `the setup ${name} failed: ${ours ? ours.message : String(error)}`, {
    cause: error,
    evidence: { console: vm.console.lastLines(20), ...ours?.evidence },
    hint: ours?.hint ?? 'the last lines of its console are in the evidence; nothing of it is kept in the cache',
  });
}

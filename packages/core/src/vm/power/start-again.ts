import { QmpilotError } from '../../errors.js';
import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';
import { startMachine, type Machine } from '../../qemu/process/machine.js';
import { planRam, removeRamFile } from '../../snapshot/strategies/ram-file.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { monotonicMs } from '../../util/time/clock.js';
import { parseDuration } from '../../util/time/duration.js';
import type { VmContext } from '../context.js';
import { awaitBoot } from './reboot.js';

const DEFAULT_TIMEOUT = '3m';

/** Boots a guest that is off again, on its own disks, and waits until its prompt and its shells are there. */
export async function startAgain(context: VmContext, restored: AbortSignal, options: WaitOptions): Promise<void> {
  const { slot, turns, console, name } = context;
  const timeout = parseDuration(options.timeout ?? DEFAULT_TIMEOUT, 'timeout');
  const begun = monotonicMs();
  const from = console.position;
  await turns.runWithin(`the start of ${name}`, { ...options, timeout }, async (wait) => {
    if (slot.life.failure === undefined)
      throw new QmpilotError('USAGE', `the VM ${name} is ${slot.life.state}: only one that is off can be started`, {
        hint: 'use vm.reboot() to boot a running guest again',
      });
    // A QEMU with internal snapshots stays when its guest powers off.
    if (slot.machine.process.exit === undefined) slot.markRestored();
    else await replaceMachine(context, wait);
    // Consoles and shells take a reset for what this is: a guest that starts from scratch.
    await context.qmp.execute('system_reset', undefined, wait);
    await context.qmp.execute('cont', undefined, wait);
  });
  await awaitBoot(context, restored, from, {
    timeout: Math.max(1, timeout - (monotonicMs() - begun)),
    signal: options.signal,
  });
}

async function replaceMachine(context: VmContext, wait: WaitOptions): Promise<void> {
  const { slot, family, forwards, name } = context;
  const { spec, directory } = slot.machine;
  if (spec.readBack)
    throw new QmpilotError('USAGE', `the VM ${name} was started by another program, which has to start it again`, {
      hint: 'boot it again: boot(nixos(...)) or attach(...)',
    });
  const forwarded = await forwards.readOrRecall();
  const ram = await planRam(family.context, spec.memoryMiB, () => {});
  const kernel = family.guest.kernel ?? spec.kernel;
  const cold: MachineSpec = { ...spec, ram, reboots: false, ...(kernel && { kernel }) };
  try {
    await slot.exchange(
      (old) => removeRam(context, old),
      () => startMachine(cold, { ...wait, name, binary: family.context.binary, directory }),
    );
  } catch (error) {
    if (ram.path !== undefined) await removeRamFile(ram.path);
    throw error;
  }
  await forwards.addAgain(forwarded);
}

/** The folder of the former machine stays: it has the disks. */
async function removeRam({ family }: VmContext, { spec }: Machine): Promise<void> {
  const { path, share } = spec.ram;
  if (share === true && path !== undefined && !family.snapshots.holdsRam(path)) await removeRamFile(path);
}

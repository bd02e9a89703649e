import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { hasCopyPort, type PreparedGuest } from '../../guests/guest.js';
import { completeCommandLine } from '../../guests/kernels/kernel-command-line.js';
import { chooseAccelerator, defaultCpu, MACHINE } from '../../qemu/accelerator.js';
import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';
import { findQemu } from '../../qemu/host/binary.js';
import { acquireHostDirectories, makeVmDirectory, releaseHostDirectories } from '../../qemu/host/directories.js';
import { startMachine } from '../../qemu/process/machine.js';
import type { SnapshotContext } from '../../snapshot/context.js';
import { overlayDisks } from '../../snapshot/strategies/overlay.js';
import { planRam, removeRamFile } from '../../snapshot/strategies/ram-file.js';
import { createFamily } from '../create-family.js';
import type { Vm } from '../vm.js';
import type { BootOptions } from './boot-options.js';

/** Starts QEMU for a guest of kernel and disks, paused. */
export async function startOwnVm(guest: PreparedGuest, options: BootOptions): Promise<Vm> {
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
      machine: MACHINE,
      cpu: defaultCpu(accelerator.accelerator),
      cpus,
      memoryMiB,
      ram,
      ...(guest.kernel && {
        kernel: await completeCommandLine(guest.kernel, accelerator.accelerator, context.binary),
      }),
      disks,
      ...(guest.shares && { shares: guest.shares }),
      virtioConsoles: guest.virtioConsoles,
      guestAgent: guest.guestAgent ?? false,
      copyPort: hasCopyPort(guest),
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
    const family = createFamily({ guest, context, accelerator });
    const vm = family.makeVm(machine, directory);
    await vm.forwardPorts(guest.ports ?? []);
    return vm;
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

import { resolve } from 'node:path';
import { QmpilotError, type Accelerator, type Defect } from '@qmpilot/core';
import { Option, type Command } from 'commander';
import { duration, wholeNumber } from '../../arguments.js';
import { interruptible } from '../../interrupt.js';
import type { BootRequest } from '../../keeper/boot-request.js';
import { keep } from '../../keeper/keeper.js';
import { startKeeper } from '../../keeper/start-keeper.js';
import { list, type VmRecord } from '../../keeper/state.js';
import { renderJson } from '../../render/json.js';
import { visible } from '../../render/visible.js';

interface BootCommandOptions {
  readonly name?: string;
  readonly defect?: Defect;
  readonly kernel?: string;
  readonly initrd?: string;
  readonly append?: string;
  readonly disk: readonly string[];
  readonly hvc: readonly string[];
  readonly shell?: string;
  readonly accelerator?: Accelerator | 'auto';
  readonly cpus?: number;
  readonly memory?: number;
  readonly timeout?: number;
  readonly cache?: boolean;
  readonly display?: 'none' | 'std';
  readonly json?: boolean;
}

const HELP = `
The vm stays when this command has ended: see qmpilot ps, exec, console, poweroff, stop. One process, its keeper, holds QEMU's
connections and serves all of these commands, any number at once; QEMU ends with it.

  qmpilot boot --name web debian
  qmpilot boot --name mine --kernel bzImage --initrd initrd.img --append 'console=ttyS0' --disk root.qcow2`;

const repeated = (value: string, before: readonly string[] = []) => [...before, value];
const NONE = 'none';

export function registerBoot(program: Command): void {
  program
    .command('boot')
    .description('boot a vm that stays, under a name')
    .argument('[guest]', 'debian (default), or none with --kernel or --disk')
    .option('--name <name>', 'what the other commands call it (default: the guest, numbered)')
    .option('--defect <name>', 'debian: with a kernel module that re-creates a bug')
    .option('--kernel <file>', 'a kernel of your own')
    .option('--initrd <file>', 'its initrd')
    .option('--append <text>', 'its command line (default: console=ttyS0)')
    .addOption(
      new Option('--disk <file>', 'a disk, *.qcow2 or *.raw; written to an overlay; repeatable')
        .argParser(repeated)
        .default([], NONE),
    )
    .addOption(
      new Option('--hvc <name>', 'a virtio console, repeatable: the first is hvc0')
        .argParser(repeated)
        .default([], NONE),
    )
    .option('--shell <name>', 'the virtio console with a root bash, for exec')
    .addOption(
      new Option('--accelerator <which>', 'how guest code runs').choices(['auto', 'kvm', 'tcg']).default('auto'),
    )
    .option('--cpus <n>', 'virtual CPUs', wholeNumber)
    .option('--memory <mib>', 'RAM in MiB', wholeNumber)
    .addOption(new Option('--display <which>', 'std: a graphics card, for screenshot').choices(['none', 'std']))
    .option('--cache', "start from a snapshot of this guest's first boot; made when missing")
    .option('--timeout <time>', 'for the guest to come up (default: 3m)', duration)
    .option('--json', 'the vm as a JSON line')
    .addHelpText('after', HELP)
    .action(async (guest: string | undefined, options: BootCommandOptions) => {
      const request = bootRequest(guest, options);
      const name = options.name ?? (await freeName(request.guest.kind));
      const record: VmRecord = { v: 1, name, guest: guestName(request), createdAt: new Date().toISOString() };
      const status = await interruptible('ending the vm', (signal) =>
        startKeeper(record, request, {
          signal,
          onProgress: (message) => process.stderr.write(`${visible(message)}\n`),
        }),
      );
      process.stdout.write(
        options.json === true ? `${renderJson({ v: 1, type: 'vm', ...status }, false)}\n` : `${name}\n`,
      );
    });

  program
    .command('keep', { hidden: true })
    .argument('<request>')
    .action(async (text: string) => {
      const { record, request } = JSON.parse(text) as { record: VmRecord; request: BootRequest };
      await keep(request, record);
    });
}

function bootRequest(guest: string | undefined, options: BootCommandOptions): BootRequest {
  const { accelerator, cpus, memory, timeout, cache, display, kernel, initrd, append, disk, hvc, shell, defect } =
    options;
  const boot = { accelerator, cpus, memoryMiB: memory, timeout, cache, display };
  const own = kernel !== undefined || disk.length > 0;
  if (guest !== undefined && own)
    throw new QmpilotError('USAGE', `boot: both a guest (${guest}) and files of your own`, { hint: 'leave one out' });
  if (own) {
    if (defect !== undefined) throw new QmpilotError('USAGE', '--defect is for the guest debian');
    const path = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
    return {
      boot,
      guest: {
        kind: 'direct',
        kernel: path(kernel),
        initrd: path(initrd),
        append,
        disks: disk.map((file) => resolve(file)),
        consoles: hvc,
        shell,
      },
    };
  }
  if (guest !== undefined && guest !== 'debian')
    throw new QmpilotError('USAGE', `there is no guest ${guest}`, { hint: 'say debian, or give --kernel or --disk' });
  return { boot, guest: { kind: 'debian', defect } };
}

function guestName({ guest }: BootRequest): string {
  if (guest.kind === 'direct') return 'direct';
  return guest.defect === undefined ? 'debian' : `debian+${guest.defect}`;
}

async function freeName(kind: string): Promise<string> {
  const taken = new Set((await list()).filter(({ life }) => life === 'running').map(({ record }) => record.name));
  for (let number = 1; ; number += 1) if (!taken.has(`${kind}-${number}`)) return `${kind}-${number}`;
}

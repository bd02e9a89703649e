import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { QmpilotError, type Accelerator } from '@qmpilot/core';
import type { Defect } from '@qmpilot/core/guests';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { duration, memorySize, portNumber, repeated, wholeNumber } from '../../arguments.js';
import { NETWORKS, type BootRequest, type Network, type Share } from '../../daemon/boot-request.js';
import { list, type VmRecord } from '../../daemon/state.js';
import { DAEMON_COMMAND } from '../../daemon/verbs.js';
import type { VmStatus } from '../../daemon/verbs.js';
import { helpText } from '../../help.js';
import { addImageOptions, imageOptions, type ImageFlags } from '../../image-options.js';
import { interruptible } from '../../interrupt.js';
import { displayKind } from '../../progress/display-kind.js';
import { jsonLine } from '../../render/json.js';

interface BootCommandOptions extends ImageFlags {
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
  readonly network?: Network;
  readonly port?: readonly number[];
  readonly drive?: readonly string[];
  readonly share?: readonly Share[];
  readonly qemuArg: readonly string[];
  readonly from?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const HELP = `
The VM keeps running in the background when this command has ended; use it with qmpilot ps, exec, console, poweroff and stop. A daemon
holds the connections to QEMU and serves these commands, several at once. QEMU ends with the daemon.

If the boot fails, qmpilot logs NAME shows the console.

  qmpilot boot --name web debian --packages nginx --port 80
  qmpilot boot --name six debian \\
    --kernel linux-image-6.12-cloud-amd64
  qmpilot boot --name again --from /data/ready
  qmpilot boot --name mine --kernel bzImage \\
    --initrd initrd.img --append console=ttyS0 \\
    --disk root.qcow2`;

const ports = (value: string, before: readonly number[] = []) => [...before, portNumber(value)];
/** `./src:/mnt/src`, `./out:/mnt/out:rw`. */
const share = (value: string, before: readonly Share[] = []): readonly Share[] => {
  const parts = /^(.+):(\/[^:]*)(:rw)?$/.exec(value);
  if (parts?.[1] === undefined || parts[2] === undefined)
    throw new InvalidArgumentError('It must be of the form path:/path/in/guest or path:/path/in/guest:rw.');
  return [...before, { host: resolve(parts[1]), guest: parts[2], writable: parts[3] !== undefined }];
};

export function registerBoot(program: Command): void {
  const boot = program.command('boot');
  addImageOptions(boot);
  boot
    .description('boot a named VM that runs in the background')
    .argument('[guest]', 'debian (the default); leave it out with --kernel or --disk')
    .option('--name <name>', 'name of the VM (default: debian-1, debian-2, ...)')
    .option('--port <n>', 'debian: forward a free port of 127.0.0.1 to this port of the guest (repeatable)', ports)
    .option('--drive <size>', 'debian: add an empty disk: 1G (repeatable)', repeated)
    .option(
      '--share <host:guest>',
      'debian: mount a folder of the host; :rw behind it lets the guest write (repeatable)',
      share,
    )
    .option('--defect <name>', 'debian: add a kernel module that re-creates a bug')
    .option('--kernel <kernel>', 'debian: a package, .deb, built tree or bzImage to boot; without a guest: your kernel')
    .option('--initrd <file>', 'initrd of that kernel')
    .option('--append <text>', 'command line of that kernel (default: console=ttyS0)')
    .option('--disk <file>', 'disk image, *.qcow2 or *.raw, which is not written to (repeatable)', repeated)
    .option('--hvc <name>', 'add a virtio console; the first is hvc0 (repeatable)', repeated)
    .option('--shell <name>', 'virtio console on which the guest runs a root shell, for exec')
    .addOption(new Option('--accelerator <which>', 'QEMU accelerator').choices(['auto', 'kvm', 'tcg']).default('auto'))
    .option('--cpus <n>', 'virtual CPUs', wholeNumber)
    .option('--memory <size>', 'RAM: 2G, 512M, or a number of MiB', memorySize)
    .addOption(
      new Option('--display <which>', 'std: add a graphics card, for qmpilot screenshot').choices(['none', 'std']),
    )
    .option('--cache', 'start from a snapshot of the first boot of this guest, made when missing')
    .addOption(
      new Option(
        '--network <which>',
        'none; restricted: a card that reaches nothing; user: what the host reaches',
      ).choices(NETWORKS),
    )
    .option('--qemu-arg <argument>', 'further QEMU argument, unchanged (repeatable)', repeated)
    .option('--from <dir>', 'start from a saved snapshot instead of booting')
    .option('--timeout <time>', 'time limit for the boot (default: 3m)', duration)
    .option('--json', 'print the VM as a JSON line')
    .option('--quiet', 'print no progress')
    .addHelpText('after', helpText(HELP))
    .action(async (guest: string | undefined, given: Partial<BootCommandOptions>) => {
      const options: BootCommandOptions = { disk: [], hvc: [], qemuArg: [], ...given };
      const request = bootRequest(guest, options);
      const name = options.name ?? (await freeName(request.guest.kind));
      const loaded = options.from === undefined ? options.cache && 'the boot cache' : 'a saved snapshot';
      const createdAt = new Date().toISOString();
      const record: VmRecord = { v: 1, name, guest: guestName(request), createdAt, loaded: loaded || undefined };
      const status = await bootVisibly(record, request, options.quiet === true);
      process.stdout.write(options.json === true ? jsonLine('vm', status) : `${name}\n`);
    });

  program
    .command(DAEMON_COMMAND, { hidden: true })
    .argument('<request>')
    .action(async (text: string) => {
      const { record, request } = JSON.parse(text) as { record: VmRecord; request: BootRequest };
      const { runDaemon } = await import('../../daemon/daemon.js');
      await runDaemon(request, record);
    });
}

async function bootVisibly(record: VmRecord, request: BootRequest, quiet: boolean): Promise<VmStatus> {
  const [{ BootDisplay }, { startDaemon }] = await Promise.all([
    import('../../progress/boot-display.js'),
    import('../../daemon/start-daemon.js'),
  ]);
  const display = new BootDisplay(displayKind(quiet));
  try {
    const status = await interruptible(
      'stopping the VM',
      (signal) =>
        startDaemon(record, request, {
          signal,
          onProgress: (message) => display.stage(message),
          onConsoleLine: (line) => display.consoleLine(line),
        }),
      (text) => display.say(text),
    );
    display.close('done');
    return status;
  } finally {
    display.close();
  }
}

function bootRequest(guest: string | undefined, options: BootCommandOptions): BootRequest {
  const { from, accelerator, cpus, memory, timeout, cache, display, network, qemuArg } = options;
  const { kernel, initrd, append, disk, hvc, shell, defect } = options;
  if (from !== undefined) return { boot: {}, guest: { kind: 'saved', directory: savedSnapshot(from, guest, options) } };
  const boot = { accelerator, cpus, memoryMiB: memory, timeout, cache, display, qemuArguments: qemuArg };
  const own = (kernel !== undefined && guest === undefined) || disk.length > 0;
  if (guest !== undefined && own)
    throw new QmpilotError('USAGE', `boot: both the guest ${guest} and --disk`, { hint: 'leave one out' });
  const ofDebian = debianFlags(options);
  if (own) {
    if (ofDebian.length > 0)
      throw new QmpilotError('USAGE', `${ofDebian.join(', ')}: only for the guest debian`, {
        hint: `name the guest: qmpilot boot debian ${ofDebian.join(' ... ')} ...`,
      });
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
        network,
      },
    };
  }
  if (guest !== undefined && guest !== 'debian')
    throw new QmpilotError('USAGE', `unknown guest ${guest}`, { hint: 'use debian, or --kernel or --disk' });
  return {
    boot,
    guest: {
      kind: 'debian',
      defect,
      network,
      image: imageOptions(options),
      // A name of a package is no path, unless there is such a file.
      kernel: kernel !== undefined && existsSync(kernel) ? resolve(kernel) : kernel,
      ports: options.port,
      drives: options.drive,
      share: options.share,
    },
  };
}

/** The options given that only the guest debian has. */
function debianFlags(options: BootCommandOptions): string[] {
  const { defect, suite, packages, setup, file, diskSize, port, drive, share: shared } = options;
  const flags = { defect, suite, packages, setup, file, 'disk-size': diskSize, port, drive, 'share': shared };
  return Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`]));
}

/** @throws {USAGE} when options are given that only a boot can use */
function savedSnapshot(from: string, guest: string | undefined, options: BootCommandOptions): string {
  const { kernel, initrd, append, shell, cpus, memory, defect, display, network, timeout, cache } = options;
  const unused = { kernel, initrd, append, shell, cpus, memory, defect, display, network, timeout, cache };
  const given = Object.entries(unused).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`]));
  given.push(...debianFlags(options).filter((flag) => flag !== '--defect'));
  if (options.disk.length > 0) given.push('--disk');
  if (options.hvc.length > 0) given.push('--hvc');
  if (options.qemuArg.length > 0) given.push('--qemu-arg');
  if (options.accelerator !== 'auto') given.push('--accelerator');
  if (guest !== undefined) given.push(guest);
  if (given.length > 0)
    throw new QmpilotError('USAGE', `boot: --from cannot be combined with ${given.join(', ')}`, {
      hint: 'a saved snapshot has its own guest and machine',
    });
  return resolve(from);
}

function guestName({ guest }: BootRequest): string {
  if (guest.kind !== 'debian') return guest.kind;
  return guest.defect === undefined ? 'debian' : `debian+${guest.defect}`;
}

async function freeName(kind: string): Promise<string> {
  const taken = new Set((await list()).filter(({ life }) => life === 'running').map(({ record }) => record.name));
  for (let number = 1; ; number += 1) if (!taken.has(`${kind}-${number}`)) return `${kind}-${number}`;
}

import { resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { QmpClient } from '../../qmp/client.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import type { DiskSpec, MachineSpec, ReadBack, Ports } from './machine-spec.js';
import { obstaclesOf } from './obstacles.js';
import { optionValue, type Argument } from './options.js';

/** Reads by QMP the machine that another program described. */
export interface Inspection {
  readonly accelerator: 'kvm' | 'tcg';
  readonly machine: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly ram: { readonly ids: readonly string[]; readonly bytes: number };
  /** Disks with a file behind them, named by their block backend. */
  readonly disks: readonly DiskSpec[];
}

interface BlockInfo {
  readonly device: string;
  readonly qdev?: string;
  readonly inserted?: {
    readonly 'file': string;
    readonly 'ro': boolean;
    readonly 'drv': string;
    readonly 'node-name'?: string;
    readonly 'image': { readonly filename: string; readonly format: string };
  };
}

/**
 * Asks a running QEMU what it is.
 * @throws {QMP_COMMAND} {QMP_LINK} {TIMEOUT} {ABORTED}
 */
export async function inspectMachine(qmp: QmpClient, options: WaitOptions): Promise<Inspection> {
  const ask = <T>(command: string, parameters?: Record<string, unknown>) =>
    qmp.executeUntyped<T>(command, parameters, options);
  const [kvm, memory, backends, cpus, blocks, type] = await Promise.all([
    ask<{ enabled: boolean }>('query-kvm'),
    ask<{ 'base-memory': number; 'plugged-memory'?: number }>('query-memory-size-summary'),
    ask<readonly { id?: string }[]>('query-memdev'),
    ask<readonly unknown[]>('query-cpus-fast'),
    ask<readonly BlockInfo[]>('query-block'),
    ask<string>('qom-get', { path: '/machine', property: 'type' }),
  ]);
  return {
    accelerator: kvm.enabled ? 'kvm' : 'tcg',
    machine: type.replace(/-machine$/, ''),
    cpus: cpus.length,
    memoryMiB: Math.round(memory['base-memory'] / 2 ** 20),
    ram: { ids: backends.flatMap(({ id }) => id ?? []), bytes: memory['base-memory'] },
    disks: blocks.flatMap(diskOf),
  };
}

/** A file or device of the host as it is has no other format than its own. Of other formats our overlays would read what they are not. */
const KNOWN_FORMATS: ReadonlySet<string> = new Set(['qcow2', 'raw', 'file', 'host_device']);

function diskOf({ device, qdev, inserted }: BlockInfo): DiskSpec[] {
  if (!inserted) return [];
  const node = inserted['node-name'];
  const { filename, format } = inserted.image;
  return [
    {
      id: device || node || qdev || filename,
      file: filename,
      format: format === 'qcow2' ? 'qcow2' : 'raw',
      ...(!KNOWN_FORMATS.has(format) && { foreignFormat: format }),
      ...(inserted.ro && { readOnly: true }),
      ...(node !== undefined && { node }),
    },
  ];
}

interface Started {
  readonly theirs: readonly Argument[];
  readonly cwd: string;
  readonly overrides: readonly string[];
  readonly console: ReadBack['console'];
}

/**
 * Matches a machine's disks to the arguments that gave them, so that a fork can have overlays in their places, and says what
 * prevents forks.
 * @param isOurs whether a disk image was made for this VM alone
 */
export function readBackFrom(
  { theirs, cwd, overrides, console }: Started,
  inspection: Inspection,
  isOurs: (file: string) => boolean,
): { readonly readBack: ReadBack; readonly disks: readonly DiskSpec[] } {
  const obstacles = obstaclesOf(theirs);
  const drives: { argument: number; disk: string }[] = [];
  const disks = inspection.disks.map((disk, index) => {
    const file = resolve(cwd, disk.file);
    const argument = theirs.findIndex(
      (one, at) => !drives.some((drive) => drive.argument === at) && givesDisk(one, disk, cwd),
    );
    const given = theirs[argument];
    // The id becomes the name of the block node in a fork; that of a -blockdev is what its device asks for.
    const id =
      given?.name === 'blockdev' ? (disk.node ?? disk.id) : `qmpilot-${/^[\w-]+$/.test(disk.id) ? disk.id : index}`;
    const named: DiskSpec = { ...disk, id, file, ...(!isOurs(file) && { foreign: true }) };
    if (disk.readOnly) return named;
    if (disk.foreignFormat !== undefined) {
      obstacles.push({
        reason: `the disk ${disk.id} (${disk.file}) has the format ${disk.foreignFormat}, for which a fork cannot have an overlay`,
        remedy: 'convert it: qemu-img convert -O qcow2',
      });
    }
    if (!given || (given.name === 'blockdev' && given.value?.startsWith('{'))) {
      obstacles.push({
        reason: `the disk ${disk.id} (${disk.file}) is not given by -drive or -blockdev, so that a fork cannot have one of its own`,
        remedy: 'give it by -drive file=...,id=...',
      });
    } else drives.push({ argument, disk: named.id });
    return named;
  });
  const [ramId = 'pc.ram', ...further] = inspection.ram.ids;
  if (further.length > 0) {
    obstacles.push({
      reason: `its memory has several backends (${[ramId, ...further].join(', ')}), of NUMA or hot-plugged memory`,
      remedy: 'give it one: -m alone, or -machine memory-backend=',
    });
  }
  return {
    readBack: {
      arguments: theirs,
      cwd,
      ram: { id: ramId, bytes: inspection.ram.bytes },
      drives,
      obstacles,
      console,
      overrides,
    },
    disks,
  };
}

function givesDisk({ name, value }: Argument, disk: DiskSpec, cwd: string): boolean {
  if (name === 'blockdev') return optionValue(value, 'node-name') === disk.node;
  if (name !== 'drive') return false;
  const id = optionValue(value, 'id');
  const file = optionValue(value, 'file');
  return id === undefined ? file !== undefined && resolve(cwd, file) === resolve(cwd, disk.file) : id === disk.id;
}

/** The spec of a machine that was read back, for facts and forks. */
export function specOf(
  inspection: Inspection,
  disks: readonly DiskSpec[],
  readBack: ReadBack,
  consoles: Ports,
): MachineSpec {
  const cpu =
    readBack.overrides.findLast((_, index, all) => all[index - 1] === '-cpu') ??
    readBack.arguments.findLast(({ name }) => name === 'cpu')?.value;
  return {
    accelerator: inspection.accelerator,
    machine: inspection.machine,
    cpu: cpu ?? 'default',
    cpus: inspection.cpus,
    memoryMiB: inspection.memoryMiB,
    ram: { kind: 'anonymous' },
    disks,
    ...consoles,
    network: readBack.arguments.some(({ name }) => ['netdev', 'nic', 'net'].includes(name)) ? 'user' : 'none',
    extra: [],
    readBack,
  };
}

/** @throws {SNAPSHOT} when no fork can be built from what this machine was started with, and so no template be made */
export function mustBeForkable({ readBack }: Pick<MachineSpec, 'readBack'>): void {
  if (!readBack || readBack.obstacles.length === 0) return;
  const { obstacles } = readBack;
  throw new QmpilotError(
    'SNAPSHOT',
    `this VM cannot be restored in another QEMU: ${obstacles.map(({ reason }) => reason).join('; ')}`,
    {
      hint: `${obstacles.map(({ remedy }) => remedy).join('; ')}; or use the strategy 'internal', which stays in this QEMU: it needs a writable qcow2 disk`,
    },
  );
}

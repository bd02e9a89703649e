import { closeSync, openSync, readSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../../errors.js';
import type { PhysicalMemory } from '../../../introspect/memory/physical-memory.js';
import { acquireHostDirectories, releaseHostDirectories } from '../../../qemu/host/directories.js';
import type { QmpClient } from '../../../qmp/client.js';
import type { WaitOptions } from '../../../util/async/deadline.js';
import { hostError } from '../../../util/files/host-error.js';

/** Where the memory above the hole for devices begins. */
const FOUR_GIB = 2 ** 32;
const MIB = 2 ** 20;

/** The guest's memory, opened for reading. */
export interface OpenMemory extends PhysicalMemory {
  close(): Promise<void>;
}

/** The parts of a machine that it uses. */
export interface MachineWithMemory {
  readonly qmp: QmpClient;
  readonly process: { readonly pid: number };
  readonly spec: { readonly memoryMiB: number };
}

/** A piece of the guest's memory: `length` bytes from `physical` on, at `position` of a file. */
interface Piece {
  readonly file: number;
  readonly physical: number;
  readonly length: number;
  readonly position: number;
}

interface Layout {
  /** Address of the first byte in QEMU's process; undefined where QEMU does not tell. */
  readonly base: number | undefined;
  readonly ranges: readonly Omit<Piece, 'file'>[];
}

/** Opens the guest's memory in the process of its QEMU; undefined where the host does not permit that. */
export async function openProcessMemory(
  machine: MachineWithMemory,
  wait: WaitOptions,
): Promise<OpenMemory | undefined> {
  const { base, ranges } = await layoutOf(machine, wait);
  const file = base === undefined ? undefined : openProcess(machine.process.pid);
  if (base === undefined || file === undefined) return undefined;
  const pieces = ranges.map((range) => ({ ...range, file, position: base + range.position }));
  return {
    read: (address, length) => readPiece(pieces, address, length),
    close: async () => closeSync(file),
  };
}

/** Has QEMU write a copy of the guest's memory, which takes seconds, and opens it. A copy of one moment takes a guest that is paused. */
export async function copyMemory(machine: MachineWithMemory, wait: WaitOptions): Promise<OpenMemory> {
  const { ranges } = await layoutOf(machine, wait);
  const { disk } = await acquireHostDirectories();
  const files: number[] = [];
  let directory: string | undefined;
  const close = async () => {
    for (const file of files) closeSync(file);
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    await releaseHostDirectories();
  };
  try {
    directory = await mkdtemp(join(disk, 'memory-'));
    const pieces: Piece[] = [];
    for (const [index, { physical, length }] of ranges.entries()) {
      const filename = join(directory, `part-${index}`);
      const parameters = { val: physical, size: length, filename };
      await machine.qmp.executeUntyped('pmemsave', parameters, { patience: '5m', ...wait });
      const file = openSync(filename, 'r');
      files.push(file);
      pieces.push({ file, physical, length, position: 0 });
    }
    return { read: (address, length) => readPiece(pieces, address, length), close };
  } catch (error) {
    await close();
    throw hostError("cannot copy the guest's memory", error);
  }
}

async function layoutOf({ qmp, spec }: MachineWithMemory, wait: WaitOptions): Promise<Layout> {
  const bytes = spec.memoryMiB * MIB;
  const low = await hostAddress(qmp, 0, wait);
  const high = await hostAddress(qmp, FOUR_GIB, wait);
  const split = low === undefined || high === undefined ? bytes : Math.min(bytes, high - low);
  return {
    base: low,
    ranges: [
      { physical: 0, length: split, position: 0 },
      ...(split < bytes ? [{ physical: FOUR_GIB, length: bytes - split, position: split }] : []),
    ],
  };
}

/** The place in QEMU's process of a physical address: `Host virtual address for 0x0 (ram) is 0x7f0000000000`. */
async function hostAddress(qmp: QmpClient, physical: number, wait: WaitOptions): Promise<number | undefined> {
  const text = await qmp.execute(
    'human-monitor-command',
    { 'command-line': `gpa2hva 0x${physical.toString(16)}` },
    wait,
  );
  const address = / is 0x([0-9a-f]{1,13})\b/.exec(text)?.[1];
  return address === undefined ? undefined : Number.parseInt(address, 16);
}

function openProcess(pid: number): number | undefined {
  try {
    return openSync(`/proc/${pid}/mem`, 'r');
  } catch {
    return undefined;
  }
}

function readPiece(pieces: readonly Piece[], address: number, length: number): Buffer | undefined {
  const piece = pieces.find((one) => address >= one.physical && address + length <= one.physical + one.length);
  if (!piece) return undefined;
  const bytes = Buffer.allocUnsafe(length);
  let count: number;
  try {
    count = readSync(piece.file, bytes, 0, length, piece.position + address - piece.physical);
  } catch {
    return undefined;
  }
  // proc_pid_mem(5) of a process that has ended is empty.
  if (count === 0 && length > 0)
    throw new QmpilotError('QEMU_EXITED', "cannot read the guest's memory: QEMU has ended");
  return count === length ? bytes : undefined;
}

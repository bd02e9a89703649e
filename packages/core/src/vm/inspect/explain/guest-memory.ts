import { closeSync, openSync, readSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PhysicalMemory } from '../../../introspect/memory/physical-memory.js';
import { acquireHostDirectories, releaseHostDirectories } from '../../../qemu/host/directories.js';
import type { QmpClient } from '../../../qmp/client.js';
import type { WaitOptions } from '../../../util/async/deadline.js';

/** Where the memory above the hole for devices begins. */
const FOUR_GIB = 2 ** 32;
const MIB = 2 ** 20;

/** The guest's memory, opened for reading. */
export interface OpenMemory extends PhysicalMemory {
  close(): Promise<void>;
}

interface MachineWithMemory {
  readonly qmp: QmpClient;
  readonly process: { readonly pid: number };
  readonly spec: { readonly memoryMiB: number };
}

/** A piece of the guest's memory: `length` bytes from `physical` on, at `position` of a file. */
interface Piece {
  readonly physical: number;
  readonly length: number;
  readonly position: number;
}

/**
 * Opens the memory of a machine: in its QEMU's process, which costs nothing; where the host does not permit that, as a copy that
 * QEMU writes, which takes seconds.
 */
export async function openGuestMemory(
  { qmp, process, spec }: MachineWithMemory,
  wait: WaitOptions,
): Promise<OpenMemory> {
  const bytes = spec.memoryMiB * MIB;
  const low = await hostAddress(qmp, 0, wait);
  const high = await hostAddress(qmp, FOUR_GIB, wait);
  const split = low === undefined || high === undefined ? bytes : Math.min(bytes, high - low);
  const pieces = (base: number): Piece[] => [
    { physical: 0, length: split, position: base },
    ...(split < bytes ? [{ physical: FOUR_GIB, length: bytes - split, position: base + split }] : []),
  ];
  if (low !== undefined) {
    const file = openFile(`/proc/${process.pid}/mem`);
    if (file !== undefined) return fileMemory(file, pieces(low), async () => {});
  }
  return savedMemory(qmp, pieces(0), wait);
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

async function savedMemory(qmp: QmpClient, pieces: readonly Piece[], wait: WaitOptions): Promise<OpenMemory> {
  const { disk } = await acquireHostDirectories();
  const directory = await mkdtemp(join(disk, 'memory-'));
  const close = async () => {
    await rm(directory, { recursive: true, force: true });
    await releaseHostDirectories();
  };
  try {
    const parts = [];
    for (const [index, { physical, length }] of pieces.entries()) {
      const filename = join(directory, `part-${index}`);
      await qmp.executeUntyped('pmemsave', { val: physical, size: length, filename }, { patience: '5m', ...wait });
      parts.push({ file: openSync(filename, 'r'), physical, length });
    }
    const memories = parts.map(({ file, physical, length }) =>
      fileMemory(file, [{ physical, length, position: 0 }], async () => {}),
    );
    return {
      read: (address, length) => {
        for (const memory of memories) {
          const bytes = memory.read(address, length);
          if (bytes) return bytes;
        }
        return undefined;
      },
      async close() {
        for (const memory of memories) await memory.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function openFile(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

function fileMemory(file: number, pieces: readonly Piece[], closed: () => Promise<void>): OpenMemory {
  return {
    read(address, length) {
      const piece = pieces.find((one) => address >= one.physical && address + length <= one.physical + one.length);
      if (!piece) return undefined;
      const bytes = Buffer.allocUnsafe(length);
      try {
        return readSync(file, bytes, 0, length, piece.position + address - piece.physical) === length
          ? bytes
          : undefined;
      } catch {
        return undefined;
      }
    },
    async close() {
      closeSync(file);
      await closed();
    },
  };
}

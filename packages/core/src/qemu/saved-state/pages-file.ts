import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { countPages, PAGE, type PageRun } from './pagemap.js';
import type { SavedPages } from './saved-state.js';

/** Pages that are read and written at once, 1 MiB: larger ones leave the CPU's cache in between. */
const BATCH = 256;
/** Bytes of the place of a run. */
export const PLACE = 8;

/**
 * Writes pages of a process that does not write to them to a file of pages. Each batch is read while the one before it is written.
 */
export async function writePages(
  pid: number,
  runs: readonly PageRun[],
  { file, signal }: { readonly file: FileHandle; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  let writing: Promise<void> | undefined;
  try {
    const batches = [Buffer.alloc(BATCH * PAGE), Buffer.alloc(BATCH * PAGE)] as const;
    let turn = false;
    let position = 0;
    for (const parts of batchesOf(runs)) {
      turn = !turn;
      const batch = batches[turn ? 0 : 1];
      let filled = 0;
      for (const { count, address } of parts) {
        const bytes = count * PAGE;
        const read = readSync(memory, batch, filled, bytes, address);
        if (read !== bytes) throw new Error(`/proc/PID/mem ends after ${read} of ${bytes} bytes`);
        filled += bytes;
      }
      await writing;
      signal?.throwIfAborted();
      writing = writeAll(file, batch.subarray(0, filled), position);
      position += filled;
    }
    await writing;
    writing = undefined;
    await writeAll(file, placesOf(runs), position);
    await file.truncate(position + runs.length * PLACE);
  } finally {
    await writing?.catch(() => {});
    closeSync(memory);
  }
}

function placesOf(runs: readonly PageRun[]): Buffer {
  const places = Buffer.alloc(runs.length * PLACE);
  for (const [index, { first, count }] of runs.entries()) {
    places.writeUInt32LE(first, index * PLACE);
    places.writeUInt32LE(count, index * PLACE + PLACE / 2);
  }
  return places;
}

/** Divides runs into parts that fill a batch each. */
export function* batchesOf(runs: readonly PageRun[]): Generator<readonly PageRun[]> {
  let parts: PageRun[] = [];
  let room = BATCH;
  for (const run of runs) {
    for (let done = 0; done < run.count;) {
      const count = Math.min(run.count - done, room);
      parts.push({ first: run.first + done, count, address: run.address + done * PAGE });
      done += count;
      room -= count;
      if (room > 0) continue;
      yield parts;
      parts = [];
      room = BATCH;
    }
  }
  if (parts.length > 0) yield parts;
}

/** RAM that pages are written to. */
export interface RamTarget {
  /** A copy of the RAM file, or the memory of a process that maps the RAM. */
  readonly file: FileHandle;
  /** Where the RAM begins in it. */
  readonly address: number;
  readonly ramBytes: number;
}

/**
 * Writes the pages of a file to their places in RAM. A batch takes about a millisecond when the files are in memory; handing it to another thread
 * would take longer.
 * @throws {Error} when the file is damaged
 */
export async function applyPages(pages: SavedPages, target: RamTarget, signal: AbortSignal | undefined): Promise<void> {
  const from = await open(pages.path, 'r');
  try {
    const buffer = Buffer.alloc(BATCH * PAGE);
    let position = 0;
    for (const parts of batchesOf(await readPlaces(from, pages, target))) {
      signal?.throwIfAborted();
      const batch = buffer.subarray(0, countPages(parts) * PAGE);
      if (readSync(from.fd, batch, 0, batch.length, position) !== batch.length) throw shortFile();
      position += batch.length;
      writeBatch(target.file.fd, batch, parts);
      await nextTurn();
    }
  } finally {
    await from.close();
  }
}

function writeBatch(file: number, buffer: Buffer, parts: readonly PageRun[]): void {
  let done = 0;
  for (const { count, address } of parts) {
    const bytes = count * PAGE;
    const written = writeSync(file, buffer, done, bytes, address);
    if (written !== bytes) throw new Error(`only ${written} of ${bytes} bytes of RAM could be written`);
    done += bytes;
  }
}

async function readPlaces(
  from: FileHandle,
  { count, runs }: SavedPages,
  { address, ramBytes }: RamTarget,
): Promise<PageRun[]> {
  const { size } = await from.stat();
  if (size !== count * PAGE + runs * PLACE) throw new Error('the file of saved pages has the wrong size');
  const places = Buffer.alloc(runs * PLACE);
  await readAll(from, places, count * PAGE);
  const found = Array.from({ length: runs }, (_, index): PageRun => {
    const first = places.readUInt32LE(index * PLACE);
    return { first, count: places.readUInt32LE(index * PLACE + PLACE / 2), address: address + first * PAGE };
  });
  // What is behind the RAM in a process is QEMU's own.
  if (countPages(found) !== count || found.some((run) => (run.first + run.count) * PAGE > ramBytes))
    throw new Error('the saved pages do not fit into the RAM');
  return found;
}

async function readAll(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
  if (bytesRead !== buffer.length) throw shortFile();
}

function shortFile(): Error {
  return new Error('the file of saved pages is shorter than it was');
}

/** Writes zeros, so that the file system allocates the space of a file in advance. */
export async function reserve(file: FileHandle, bytes: number, signal: AbortSignal | undefined): Promise<void> {
  const zeros = Buffer.alloc(BATCH * PAGE);
  for (let done = 0; done < bytes; done += zeros.length) {
    signal?.throwIfAborted();
    await writeAll(file, zeros.subarray(0, bytes - done), done);
  }
}

/** Writes all of the bytes. On a full disk the first write may be a short one. */
async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

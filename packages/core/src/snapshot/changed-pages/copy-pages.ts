import { closeSync, openSync, readvSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { SavedPages } from '../../qemu/process/machine.js';
import { readRecordPage, RECORD, RECORD_HEADER, writeRecordHeader } from './migration-stream.js';
import { PAGE, type PageRun } from './pagemap.js';

/** Records that are read and written at once, 4 MiB; at most as many as one readv(2) takes. */
const BATCH = 1024;

/** Records in memory, and the place of the page of each of them. */
interface Batch {
  readonly bytes: Buffer;
  readonly pages: readonly Buffer[];
}

function newBatch(): Batch {
  const bytes = Buffer.alloc(BATCH * RECORD);
  const pages = Array.from({ length: BATCH }, (_, index) =>
    bytes.subarray(index * RECORD + RECORD_HEADER, (index + 1) * RECORD),
  );
  return { bytes, pages };
}

/**
 * Writes pages of a process that does not write to them as records of a saved state. Each batch is read while the one before it
 * is written.
 */
export async function writeRecords(
  pid: number,
  runs: readonly PageRun[],
  { file, at, signal }: { readonly file: FileHandle; readonly at: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    const batches = [newBatch(), newBatch()] as const;
    let writing = Promise.resolve();
    let turn = false;
    let position = at;
    for (const parts of batchesOf(runs)) {
      turn = !turn;
      const { bytes, pages } = batches[turn ? 0 : 1];
      let filled = 0;
      for (const { first, count, address } of parts) {
        const read = readvSync(memory, pages.slice(filled, filled + count), address);
        if (read !== count * PAGE) throw new Error(`/proc/PID/mem ends after ${read} of ${count * PAGE} bytes`);
        for (let index = 0; index < count; index += 1)
          writeRecordHeader(bytes, (filled + index) * RECORD, first + index);
        filled += count;
      }
      await writing;
      signal?.throwIfAborted();
      writing = writeAll(file, bytes.subarray(0, filled * RECORD), position);
      position += filled * RECORD;
      // Awaited in the next round, or below.
      writing.catch(() => {});
    }
    await writing;
  } finally {
    closeSync(memory);
  }
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

/** A saved state with pages of RAM. */
interface StateWithPages {
  readonly path: string;
  readonly pages: SavedPages;
}

/** Writes the pages that are in a state to their places in a copy of its RAM file. */
export async function applyPages(
  { path, pages }: StateWithPages,
  ram: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const from = await open(path, 'r');
  try {
    const to = await open(ram, 'r+');
    try {
      const batch = newBatch();
      for (let done = 0; done < pages.count;) {
        signal?.throwIfAborted();
        const count = Math.min(pages.count - done, BATCH);
        await readAll(from, batch.bytes.subarray(0, count * RECORD), pages.at + done * RECORD);
        await writeBatch(to, batch, count);
        done += count;
      }
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function writeBatch(to: FileHandle, { bytes, pages }: Batch, count: number): Promise<void> {
  for (let begin = 0; begin < count;) {
    const first = readRecordPage(bytes, begin * RECORD);
    let end = begin + 1;
    while (end < count && readRecordPage(bytes, end * RECORD) === first + end - begin) end += 1;
    const { bytesWritten } = await to.writev(pages.slice(begin, end), first * PAGE);
    if (bytesWritten !== (end - begin) * PAGE) throw new Error(`only ${bytesWritten} bytes of RAM could be written`);
    begin = end;
  }
}

/** Copies a state without the pages of the guest's RAM that are in it. */
export async function copyWithoutPages({ path, pages }: StateWithPages, to: string): Promise<void> {
  const from = await open(path, 'r');
  try {
    const { size } = await from.stat();
    const state = Buffer.alloc(pages.begin + size - pages.end);
    await readAll(from, state.subarray(0, pages.begin), 0);
    await readAll(from, state.subarray(pages.begin), pages.end);
    const target = await open(to, 'wx', 0o600);
    try {
      await writeAll(target, state, 0);
    } finally {
      await target.close();
    }
  } finally {
    await from.close();
  }
}

async function readAll(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
  if (bytesRead !== buffer.length) throw new Error(`the saved state is shorter than it was`);
}

/** Writes zeros, so that the file system allocates the space of a file in advance. */
export async function reserve(file: FileHandle, bytes: number, signal: AbortSignal | undefined): Promise<void> {
  const zeros = Buffer.alloc(BATCH * RECORD);
  for (let done = 0; done < bytes; done += zeros.length) {
    signal?.throwIfAborted();
    await writeAll(file, zeros.subarray(0, bytes - done), done);
  }
}

/** Writes all of the bytes. On a full disk the first write may be a short one. */
export async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

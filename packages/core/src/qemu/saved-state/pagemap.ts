import { open, readFile, realpath, type FileHandle } from 'node:fs/promises';

export const PAGE = 4096;

/** Neighbouring pages of a guest's RAM. */
export interface PageRun {
  /** Number of the first one in the RAM. */
  readonly first: number;
  readonly count: number;
  /** Where QEMU has the first one. */
  readonly address: number;
}

interface Mapping {
  readonly address: number;
  readonly bytes: number;
  /** In the RAM file. */
  readonly offset: number;
}

/** Bytes of one entry of /proc/PID/pagemap, and flags in its upper half (Documentation/admin-guide/mm/pagemap.rst). */
const ENTRY = 8;
const PRESENT_OR_SWAPPED = 0xc000_0000;
const FILE_OR_SHARED = 0x2000_0000;
const READ_ENTRIES = 1 << 17;

/**
 * Finds the pages of a private mapping of `ramFile` that a process has written to.
 * @returns undefined where the process does not map `ramBytes` of that file, once
 */
export async function findChangedPages(
  pid: number,
  ramFile: string,
  ramBytes: number,
): Promise<readonly PageRun[] | undefined> {
  const path = await realpath(ramFile);
  const mappings = parseMappings(await readFile(`/proc/${pid}/maps`, 'utf8'), path);
  let end = 0;
  for (const { offset, bytes } of mappings) {
    if (offset !== end) return undefined;
    end += bytes;
  }
  if (end !== ramBytes) return undefined;
  const runs: PageRun[] = [];
  const pagemap = await open(`/proc/${pid}/pagemap`, 'r');
  try {
    for (const mapping of mappings) await readMapping(pagemap, mapping, runs);
  } finally {
    await pagemap.close();
  }
  return runs;
}

/** The mappings of a file in the text of /proc/PID/maps, by their offset in the file. */
export function parseMappings(maps: string, path: string): readonly Mapping[] {
  return maps
    .split('\n')
    .flatMap((line) => {
      const [, from = '', to = '', offset = '', name] =
        /^([\da-f]+)-([\da-f]+) \S+ ([\da-f]+) \S+ \d+ +(\/.*)$/.exec(line) ?? [];
      if (name !== path) return [];
      const address = Number.parseInt(from, 16);
      return [{ address, bytes: Number.parseInt(to, 16) - address, offset: Number.parseInt(offset, 16) }];
    })
    .toSorted((one, other) => one.offset - other.offset);
}

async function readMapping(pagemap: FileHandle, mapping: Mapping, runs: PageRun[]): Promise<void> {
  const pages = mapping.bytes / PAGE;
  const buffer = Buffer.alloc(Math.min(pages, READ_ENTRIES) * ENTRY);
  for (let done = 0; done < pages;) {
    const count = Math.min(pages - done, READ_ENTRIES);
    const position = (mapping.address / PAGE + done) * ENTRY;
    const { bytesRead } = await pagemap.read(buffer, 0, count * ENTRY, position);
    if (bytesRead !== count * ENTRY) throw new Error(`/proc/PID/pagemap ends after ${bytesRead} bytes: QEMU has ended`);
    const words = new Uint32Array(buffer.buffer, buffer.byteOffset, count * 2);
    addRuns(words, mapping.offset / PAGE + done, mapping.address + done * PAGE, runs);
    done += count;
  }
}

/**
 * Adds the runs of pages that belong to the process alone.
 * @param words entries of the pagemap, the lower half of each first
 * @param first number of the first page
 */
export function addRuns(words: Uint32Array, first: number, address: number, runs: PageRun[]): void {
  const count = words.length / 2;
  for (let begin = 0; begin < count;) {
    if (!isOwn(words, begin)) {
      begin += 1;
      continue;
    }
    let end = begin + 1;
    while (end < count && isOwn(words, end)) end += 1;
    runs.push({ first: first + begin, count: end - begin, address: address + begin * PAGE });
    begin = end;
  }
}

function isOwn(words: Uint32Array, index: number): boolean {
  const flags = words[index * 2 + 1] ?? 0;
  return (flags & PRESENT_OR_SWAPPED) !== 0 && (flags & FILE_OR_SHARED) === 0;
}

export function countPages(runs: readonly PageRun[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0);
}

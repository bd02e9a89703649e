import { open, readFile, realpath } from 'node:fs/promises';
import { QmpilotError } from '../../errors.js';
import { pause } from '../../util/async/deadline.js';
import { errnoOf } from '../../util/files/host-error.js';
import { parseMappings } from './pagemap.js';
import { applyPages } from './pages-file.js';
import type { SavedPages } from './saved-state.js';

/** A QEMU that has just been started, and maps a file as its RAM. */
export interface StartingQemu {
  readonly pid: number;
  readonly ramFile: string;
  readonly ramBytes: number;
  /** It answers: the RAM is mapped by now. */
  readonly isUp: () => boolean;
}

/** How long to wait until the maps of a process are read again, in ms. */
const INTERVAL_MS = 2;

/**
 * Writes saved pages into the RAM of a QEMU while it starts, before it loads its devices: these read their queues there while they are loaded.
 * @throws {SNAPSHOT} when the file is damaged, QEMU has ended, or the host does not permit to write to the memory of its process
 * @throws the reason of `signal` when it fires
 */
export async function fillRam(pages: SavedPages, qemu: StartingQemu, signal: AbortSignal): Promise<void> {
  const { pid, ramBytes } = qemu;
  try {
    const address = await mappedAddress(qemu, signal);
    // Not before the RAM is mapped: the process becomes QEMU by exec.
    const file = await open(`/proc/${pid}/mem`, 'r+');
    try {
      await applyPages(pages, { file, address, ramBytes }, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    const denied = errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM';
    throw new QmpilotError('SNAPSHOT', `cannot load the saved pages of RAM: ${reason}`, {
      cause: error,
      ...(denied && {
        hint: 'this needs the permission to write to /proc/PID/mem of QEMU: see kernel.yama.ptrace_scope',
      }),
    });
  }
}

async function mappedAddress({ pid, ramFile, ramBytes, isUp }: StartingQemu, signal: AbortSignal): Promise<number> {
  const path = await realpath(ramFile);
  for (;;) {
    const last = isUp();
    const mappings = parseMappings(await readFile(`/proc/${pid}/maps`, 'utf8'), path);
    const address = mappings[0]?.address ?? 0;
    let end = 0;
    for (const mapping of mappings) {
      if (mapping.offset !== end || mapping.address !== address + end) break;
      end += mapping.bytes;
    }
    if (end === ramBytes) return address;
    if (last) throw new Error('QEMU does not map the RAM as one file');
    await pause(INTERVAL_MS, signal);
  }
}

import { open, readFile, realpath } from 'node:fs/promises';
import { QmpilotError } from '../../errors.js';
import { errnoOf } from '../../util/files/host-error.js';
import { parseMappings } from './pagemap.js';
import { applyPages } from './pages-file.js';
import type { SavedPages } from './saved-state.js';

/** RAM of a QEMU: a file that the process maps. */
export interface MappedRam {
  readonly pid: number;
  readonly ramFile: string;
  readonly ramBytes: number;
}

/**
 * Writes saved pages into the RAM of a QEMU that has not loaded its devices yet: these read their queues there while they are loaded.
 * @throws {SNAPSHOT} when the file is damaged, QEMU has ended, or the host does not permit to write to the memory of its process
 * @throws the reason of `signal` when it fires
 */
export async function fillRam(
  pages: SavedPages,
  { pid, ramFile, ramBytes }: MappedRam,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const file = await open(`/proc/${pid}/mem`, 'r+');
    try {
      const mappings = parseMappings(await readFile(`/proc/${pid}/maps`, 'utf8'), await realpath(ramFile));
      const address = mappings[0]?.address ?? 0;
      let end = 0;
      for (const mapping of mappings) {
        if (mapping.offset !== end || mapping.address !== address + end) break;
        end += mapping.bytes;
      }
      if (end !== ramBytes) throw new Error('QEMU does not map the RAM as one file');
      await applyPages(pages, { file, address, ramBytes }, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
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

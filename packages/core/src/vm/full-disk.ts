import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { QmpilotError } from '../errors.js';
import type { Vm } from './vm.js';

/**
 * Calls `act` when QEMU paused the guest because the host has no space for its writes: neither this guest nor a later one could
 * continue. Returns an unsubscribe function.
 * @param next what the user can do once there is room, for the hint
 */
export function onFullDisk(vm: Vm, act: (error: QmpilotError) => void, next?: string): () => void {
  return vm.onEvent((event) => {
    if (event.type !== 'qmp' || event.event !== 'BLOCK_IO_ERROR' || event.data['nospace'] !== true) return;
    const { 'node-name': node, device } = event.data;
    void free(tmpdir()).then((room) =>
      act(
        new QmpilotError('NO_SPACE', `no space left for the guest's disk ${JSON.stringify(node || device)}: ${room}`, {
          hint: `make room in TMPDIR, where the overlays of disks are, or point it to a larger file system${next === undefined ? '' : `; ${next}`}`,
        }),
      ),
    );
  });
}

async function free(path: string): Promise<string> {
  try {
    const { bavail, blocks, bsize } = await statfs(path);
    const mebibytes = (count: number) => Math.floor((count * bsize) / 2 ** 20);
    return `the file system of ${path} has ${mebibytes(bavail)} of ${mebibytes(blocks)} MiB free`;
  } catch {
    return `the file system of ${path} is full`;
  }
}

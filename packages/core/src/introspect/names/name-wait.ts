import type { KernelReader } from '../kernel-types.js';
import type { FoundWait } from '../locks/lock-wait.js';
import type { KernelFrame } from '../stacks/unwind.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import { filePage, fileSystemLock } from './file-systems.js';
import { slabObjectAt } from './slab.js';
import { structByFunctions } from './struct-by-functions.js';
import { findContaining, type TypedObject } from './typed-search.js';

/** What is known of the place of a lock. */
export interface WaitName {
  /** `struct io_ring_ctx.uring_lock`, `held_a [held_locks]`, `s_writers.rw_sem[0] of vdb (ext4), which is frozen`. */
  readonly name?: string;
  /** The object that holds it. */
  readonly object?: { readonly start: bigint; readonly size: number };
}

const NUMBER_OF_FILES = 64;

/**
 * Names what a task waits for: by symbols, by super blocks, by types from the tasks that have to do with it, by
 * the functions around those on the waiter's stack, by slab caches.
 */
export function nameWait(
  kernel: KernelReader,
  symbols: KernelSymbols,
  { address, kind, struct }: FoundWait,
  tasks: readonly bigint[],
  frames: readonly KernelFrame[],
): WaitName {
  const symbol = symbols.at(address);
  if (symbol && symbol.name !== '') {
    const offset = symbol.offset === 0 ? '' : `+0x${symbol.offset.toString(16)}`;
    return { name: `${symbol.name}${offset}${symbol.module === undefined ? '' : ` [${symbol.module}]`}` };
  }
  if (kind === 'page') {
    const page = filePage(kernel, address);
    return page === undefined ? {} : { name: page };
  }
  if (struct !== undefined) {
    const mounted = fileSystemLock(kernel, symbols, address, struct);
    if (mounted) {
      const freeze = mounted.freeze === '' ? '' : `, which is ${mounted.freeze}`;
      return { name: `struct super_block.${mounted.member} of ${mounted.fileSystem}${freeze}` };
    }
    const found = findContaining(
      kernel,
      tasks.flatMap((task) => rootsOf(kernel, task)),
      address,
      struct,
    );
    if (found)
      return { name: `struct ${found.struct}.${found.member}`, object: { start: found.address, size: found.size } };
  }
  const slab = slabObjectAt(kernel, symbols, address);
  if (!slab) return {};
  const object = { start: slab.start, size: slab.size };
  const deduced = struct === undefined ? undefined : structByFunctions(kernel, symbols, frames, slab, address, struct);
  return { object, name: deduced ?? `at offset ${address - slab.start} in an object of ${slab.cache}` };
}

/** A task, and the files that it has open. */
function rootsOf(kernel: KernelReader, task: bigint): TypedObject[] {
  const table = kernel.pointer(kernel.pointer(task, 'task_struct', 'files') ?? 0n, 'files_struct', 'fdt') ?? 0n;
  const files = kernel.pointer(table, 'fdtable', 'fd') ?? 0n;
  const count = Math.min(kernel.number(table, 'fdtable', 'max_fds') ?? 0, NUMBER_OF_FILES);
  const open = Array.from({ length: count }, (_, index) => kernel.memory.u64(files + BigInt(8 * index))).flatMap(
    (file) => (file === undefined || file === 0n ? [] : [{ struct: 'file', address: file }]),
  );
  return [{ struct: 'task_struct', address: task }, ...open];
}

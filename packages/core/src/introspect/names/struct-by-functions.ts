import type { KernelReader } from '../kernel-types.js';
import type { KernelFrame } from '../stacks/unwind.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import { memberAt } from './member-at.js';
import type { SlabObject } from './slab.js';

/** Functions on each side of the one on the stack: those of one source file are next to each other. */
const NEIGHBOURS = 24;
const FRAMES = 8;

/**
 * Tells the type of a slab object by code: the struct that has a lock of this kind at this offset, is of the cache's size, and is
 * what functions take that stand in the same source file as one on the waiter's stack. The nearest wins.
 */
export function structByFunctions(
  kernel: KernelReader,
  symbols: KernelSymbols,
  frames: readonly KernelFrame[],
  { start, size }: SlabObject,
  lock: bigint,
  struct: string,
): string | undefined {
  const { btf } = kernel;
  const offset = Number(lock - start);
  for (const { address, uncertain } of frames.slice(0, FRAMES)) {
    if (uncertain) continue;
    for (const name of symbols.around(address, NEIGHBOURS)) {
      for (const type of btf.parameters(name.replace(/\..*$/, ''))) {
        const length = btf.sizeOf(type);
        // The caches of kmalloc() are at most twice as large as what is put into them.
        if (length > size || length * 2 < size || offset >= length) continue;
        const member = memberAt(kernel, type, offset, struct);
        const shape = btf.shape(type);
        if (member !== undefined && member !== '' && shape?.kind === 'struct') return `struct ${shape.name}.${member}`;
      }
    }
  }
  return undefined;
}

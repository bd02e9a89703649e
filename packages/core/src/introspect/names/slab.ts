import type { KernelReader } from '../kernel-types.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';

/** An object of a slab cache: what is known of memory whose type is not. */
export interface SlabObject {
  /** Name of the cache: `kmalloc-2k`, `ext4_inode_cache`. */
  readonly cache: string;
  readonly start: bigint;
  readonly size: number;
}

/** The slab object that holds an address of the kernel's map of all memory. */
export function slabObjectAt(kernel: KernelReader, symbols: KernelSymbols, address: bigint): SlabObject | undefined {
  const [directMap, pages] = [variable(kernel, symbols, 'page_offset_base'), variable(kernel, symbols, 'vmemmap_base')];
  const pageSize = kernel.btf.size('page');
  if (directMap === undefined || pages === undefined || pageSize === undefined || address < directMap) return undefined;
  const index = (address - directMap) >> 12n;
  if (index >= 1n << 40n) return undefined;
  let page = pages + index * BigInt(pageSize);
  // A page of a larger block points to its first, with bit 0 set.
  const head = kernel.pointer(page, 'page', 'compound_head') ?? 0n;
  if ((head & 1n) !== 0n) page = head - 1n;
  // `struct slab` since 5.17, within `struct page` before.
  const cache = kernel.pointer(page, kernel.btf.has('slab') ? 'slab' : 'page', 'slab_cache') ?? 0n;
  const name = kernel.memory.text(kernel.pointer(cache, 'kmem_cache', 'name') ?? 0n, 64);
  const size = kernel.number(cache, 'kmem_cache', 'size') ?? 0;
  if (name === undefined || !/^[\w:.()-]{1,63}$/.test(name) || size < 8 || size > 2 ** 20) return undefined;
  const first = directMap + (((page - pages) / BigInt(pageSize)) << 12n);
  if (address < first) return undefined;
  return { cache: name, start: first + ((address - first) / BigInt(size)) * BigInt(size), size };
}

function variable(kernel: KernelReader, symbols: KernelSymbols, name: string): bigint | undefined {
  const at = symbols.address(name);
  return at === undefined ? undefined : kernel.memory.u64(at);
}

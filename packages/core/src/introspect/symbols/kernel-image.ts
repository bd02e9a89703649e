import type { MappedRange, PageTable } from '../memory/page-table.js';
import type { PhysicalMemory } from '../memory/physical-memory.js';

/** Where the kernel's image is mapped: Documentation/arch/x86/x86_64/mm.rst. KASLR moves it within this range. */
const FROM = 0xffff_ffff_8000_0000n;
const TO = 0xffff_ffff_c000_0000n;
/** A distribution's kernel has 40 to 60 MiB; one with all debugging options has more. */
const MAX_IMAGE = 256 * 2 ** 20;

/** A part of the kernel's image: its bytes, and the address of the first. */
export interface ImagePart {
  readonly address: bigint;
  readonly bytes: Buffer;
}

/** Reads the kernel's image as it is in memory. */
export function readKernelImage(memory: PhysicalMemory, table: PageTable): ImagePart[] {
  let left = MAX_IMAGE;
  return joined(table.mapped(FROM, TO)).flatMap(({ address, physical, length }) => {
    if (length > left) return [];
    left -= length;
    const bytes = memory.read(physical, length);
    return bytes ? [{ address, bytes }] : [];
  });
}

/** The image is one piece of physical memory; pages that were given back are no longer mapped. */
function joined(ranges: readonly MappedRange[]): MappedRange[] {
  return ranges.filter(({ length }) => length >= 4096);
}

export function isImageAddress(address: bigint): boolean {
  return address >= FROM && address < TO;
}

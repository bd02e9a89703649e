import { findBuildId } from './build-id.js';

/** A kernel's ELF file. */
export interface VmlinuxFacts {
  /** Hexadecimal digits; absent where the file has none. */
  readonly buildId?: string;
  /** Where the section `.text` was linked to, which KASLR moves. */
  readonly text: bigint;
  /** It has debug information (DWARF). */
  readonly debugInfo: boolean;
}

/** elf(5) */
const MAGIC = Buffer.from('\x7fELF\x02\x01', 'latin1');
const SHT_NOTE = 7;
const HEADER = 64;
const SECTION_HEADER = 64;
/** A kernel has some 60 sections. */
const MAX_NAMES = 2 ** 20;
const MAX_NOTES = 2 ** 16;

/**
 * Reads the section headers of an ELF file of 64 bits; undefined for any other file, and for one without code.
 * @param read bytes of the file; undefined beyond its end
 */
export function readVmlinux(read: (position: number, length: number) => Buffer | undefined): VmlinuxFacts | undefined {
  const header = read(0, HEADER);
  if (!header?.subarray(0, MAGIC.length).equals(MAGIC) || header.readUInt16LE(58) !== SECTION_HEADER) return undefined;
  const table = read(Number(header.readBigUInt64LE(40)), header.readUInt16LE(60) * SECTION_HEADER);
  if (!table) return undefined;
  const sections = Array.from({ length: table.length / SECTION_HEADER }, (_, index) => {
    const at = index * SECTION_HEADER;
    return {
      name: table.readUInt32LE(at),
      type: table.readUInt32LE(at + 4),
      address: table.readBigUInt64LE(at + 16),
      position: Number(table.readBigUInt64LE(at + 24)),
      length: Number(table.readBigUInt64LE(at + 32)),
    };
  });
  const strings = sections[header.readUInt16LE(62)];
  const names = strings && strings.length <= MAX_NAMES ? read(strings.position, strings.length) : undefined;
  if (!names) return undefined;
  const named = (name: string) =>
    sections.find((section) => names.toString('latin1', section.name, section.name + name.length + 1) === `${name}\0`);
  const text = named('.text');
  if (!text) return undefined;
  const buildId = sections
    .filter(({ type, length }) => type === SHT_NOTE && length <= MAX_NOTES)
    .map(({ position, length }) => findBuildId(read(position, length) ?? Buffer.alloc(0)))
    .find((id) => id !== undefined);
  return {
    ...(buildId !== undefined && { buildId }),
    text: text.address,
    debugInfo: named('.debug_info') !== undefined,
  };
}

import type { CpuRegisters } from '../cpu/registers.js';

/** A piece of the guest's memory in a dump. */
export interface DumpPiece {
  readonly physical: number;
  readonly length: number;
  /** Where it begins in the file. */
  readonly position: number;
}

export interface ElfCore {
  readonly pieces: readonly DumpPiece[];
  readonly cpus: readonly CpuRegisters[];
}

/** elf(5) */
const MAGIC = Buffer.from('\x7fELF\x02\x01', 'latin1');
const [ET_CORE, EM_X86_64, PT_LOAD, PT_NOTE] = [4, 62, 1, 4] as const;
const HEADER = 64;
const PROGRAM_HEADER = 56;
/** QEMU writes one for each piece that the page tables map, where it was asked to (`paging`). */
const MAX_HEADERS = 20_000;
/** Bytes of all notes: each CPU has less than 1 KiB. */
const MAX_NOTES = 16 * 2 ** 20;
const MAX_CPUS = 4096;

/** target/i386/arch_dump.c: `QEMUCPUState`: version and size, 18 registers, ten segments of 24 bytes, five control registers. */
const GENERAL = [
  ...['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rsp', 'rbp', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'],
  ...['rip', 'rflags'],
] as const;
const SEGMENTS = 8 + GENERAL.length * 8;
const CONTROL = SEGMENTS + 10 * 24;
const CPU_STATE = CONTROL + 5 * 8;

/**
 * Reads the headers of a memory dump that QEMU wrote as ELF (`dump-guest-memory`) of an x86-64 machine; undefined for any other file.
 * @param read bytes of the file; undefined beyond its end
 */
export function readElfCore(read: (position: number, length: number) => Buffer | undefined): ElfCore | undefined {
  const header = read(0, HEADER);
  if (!header?.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  if (header.readUInt16LE(16) !== ET_CORE || header.readUInt16LE(18) !== EM_X86_64) return undefined;
  const count = header.readUInt16LE(56);
  if (count > MAX_HEADERS || header.readUInt16LE(54) !== PROGRAM_HEADER) return undefined;
  const table = read(Number(header.readBigUInt64LE(32)), count * PROGRAM_HEADER);
  if (!table) return undefined;
  const pieces: DumpPiece[] = [];
  const cpus: CpuRegisters[] = [];
  let left = MAX_NOTES;
  for (let at = 0; at < table.length; at += PROGRAM_HEADER) {
    const type = table.readUInt32LE(at);
    const [position, physical, length] = [8, 24, 32].map((offset) => Number(table.readBigUInt64LE(at + offset)));
    if (position === undefined || physical === undefined || length === undefined) continue;
    if (type === PT_LOAD) pieces.push({ physical, length, position });
    if (type !== PT_NOTE || length > left) continue;
    left -= length;
    for (const state of notesOf(read(position, length) ?? Buffer.alloc(0)))
      if (cpus.length < MAX_CPUS) cpus.push(registersOf(state, cpus.length));
  }
  return { pieces, cpus };
}

/** What the notes with the name QEMU hold. */
function notesOf(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 12 <= bytes.length;) {
    const [nameSize, size] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
    const name = at + 12;
    const content = name + aligned(nameSize);
    const end = content + aligned(size);
    if (end > bytes.length) break;
    if (bytes.toString('latin1', name, name + nameSize) === 'QEMU\0' && size >= CPU_STATE)
      found.push(bytes.subarray(content, content + size));
    at = end;
  }
  return found;
}

function registersOf(state: Buffer, index: number): CpuRegisters {
  const general: Record<string, bigint> = {};
  for (const [place, name] of GENERAL.entries()) general[name] = state.readBigUInt64LE(8 + place * 8);
  const { rip = 0n, rsp = 0n, rbp = 0n } = general;
  return {
    index,
    rip,
    rsp,
    rbp,
    general,
    cr3: state.readBigUInt64LE(CONTROL + 3 * 8),
    cr4: state.readBigUInt64LE(CONTROL + 4 * 8),
    // The privilege level is in the selector of the code segment.
    cpl: state.readUInt32LE(SEGMENTS) & 3,
  };
}

function aligned(size: number): number {
  return Math.ceil(size / 4) * 4;
}

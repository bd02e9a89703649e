import { isImageAddress, type ImagePart } from './kernel-image.js';
import type { SymbolTable } from './symbol-table.js';
import { SortedSymbols } from './symbol-table.js';

/** Tokens 48 to 57 of the table are the digits, which all kernels have in names: they mark the table. */
const DIGITS = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00', 'latin1');
const FIRST_DIGIT = 0x30;
const TOKENS = 256;
/** A kernel has at least this many symbols, and at most that many: kernels have 30 000 to 250 000. */
const MIN_SYMBOLS = 1000;
const MAX_SYMBOLS = 1_000_000;
/** include/linux/kallsyms.h: KSYM_NAME_LEN. */
const MAX_NAME = 512;
/** Of all names with their markers: a distribution's kernel has 3 MiB of them. */
const MAX_NAMES = 32 * 2 ** 20;
/** Places that look like the table, and counts that look like that of the names: a kernel has one or two of each. */
const MAX_TABLES = 16;
const MAX_COUNTS = 64;
/** Markers give the place of each 256th name. */
const MARKER_STEP = 256;

interface Names {
  /** Of the count, which the names follow. */
  readonly start: number;
  readonly count: number;
  /** Of each name's first byte: its length. */
  readonly places: Uint32Array;
}

/**
 * Finds and reads the kernel's own table of symbols, kernel/kallsyms.c, in its image. The layout is that of
 * scripts/kallsyms.c: since 6.4 the addresses follow the names, before they precede them.
 */
export function readKallsyms(parts: readonly ImagePart[]): SymbolTable | undefined {
  let tried = 0;
  const counts = { left: MAX_COUNTS };
  for (const part of parts) {
    for (let at = part.bytes.indexOf(DIGITS); at !== -1; at = part.bytes.indexOf(DIGITS, at + 1)) {
      if ((tried += 1) > MAX_TABLES) return undefined;
      const table = readAround(part.bytes, at, counts);
      if (table) return table;
    }
  }
  return undefined;
}

function readAround(bytes: Buffer, digits: number, counts: { left: number }): SymbolTable | undefined {
  for (let start = (digits - 2 * FIRST_DIGIT) & ~7; start > Math.max(0, digits - 4096); start -= 8) {
    const tokens = readTokens(bytes, start, digits);
    if (!tokens) continue;
    const names = findNames(bytes, start, counts);
    if (!names) continue;
    const addresses = readAddresses(bytes, names, tokens.end);
    if (addresses) return new SortedSymbols(addresses, decodeNames(bytes, names, tokens.texts));
  }
  return undefined;
}

/** `kallsyms_token_table` at `start` and `kallsyms_token_index` behind it, which has to agree with it. */
function readTokens(bytes: Buffer, start: number, digits: number) {
  const texts: string[] = [];
  const places: number[] = [];
  let at = start;
  for (let token = 0; token < TOKENS; token += 1) {
    const end = bytes.indexOf(0, at);
    if (end === -1 || end - at > 64 || (token === FIRST_DIGIT && at !== digits)) return undefined;
    if (token < FIRST_DIGIT && at >= digits) return undefined;
    places.push(at - start);
    texts.push(bytes.toString('latin1', at, end));
    at = end + 1;
  }
  const index = align(at);
  if (index + 2 * TOKENS > bytes.length) return undefined;
  if (places.some((place, token) => bytes.readUInt16LE(index + 2 * token) !== place)) return undefined;
  return { texts, end: index + 2 * TOKENS };
}

/** `kallsyms_num_syms`, `kallsyms_names` and `kallsyms_markers` end, in kernels 6.2 and 6.3 with the sequence numbers, where the tokens begin. */
function findNames(bytes: Buffer, tokens: number, counts: { left: number }): Names | undefined {
  const last = Math.max(0, tokens - MAX_NAMES);
  for (let start = tokens - 8 - MIN_SYMBOLS * 3; start >= last; start -= 8) {
    const count = bytes.readUInt32LE(start);
    if (count < MIN_SYMBOLS || count > MAX_SYMBOLS || bytes.readUInt32LE(start + 4) !== 0) continue;
    // A name has two bytes or more, and its marker.
    if (count * 2 > tokens - start || count * 128 < tokens - start) continue;
    if ((counts.left -= 1) < 0) return undefined;
    const places = walkNames(bytes, start + 8, count, tokens);
    if (places) return { start, count, places };
  }
  return undefined;
}

function walkNames(bytes: Buffer, first: number, count: number, tokens: number): Uint32Array | undefined {
  const places = new Uint32Array(count);
  let at = first;
  for (let index = 0; index < count; index += 1) {
    if (at + 2 > tokens) return undefined;
    places[index] = at;
    const length = nameLength(bytes, at);
    if (length.value === 0) return undefined;
    at += length.bytes + length.value;
  }
  const markers = align(at);
  const marked = Math.ceil(count / MARKER_STEP);
  const end = align(markers + 4 * marked);
  if (end !== tokens && align(end + 3 * count) !== tokens) return undefined;
  for (let marker = 0; marker < marked; marker += 1) {
    if (bytes.readUInt32LE(markers + 4 * marker) !== (places[marker * MARKER_STEP] ?? 0) - first) return undefined;
  }
  return places;
}

/** Since 6.1 the length of a long name has two bytes. */
function nameLength(bytes: Buffer, at: number): { readonly value: number; readonly bytes: number } {
  const low = bytes.readUInt8(at);
  return low < 0x80 ? { value: low, bytes: 1 } : { value: (low & 0x7f) | (bytes.readUInt8(at + 1) << 7), bytes: 2 };
}

/** `kallsyms_offsets` and `kallsyms_relative_base`. */
function readAddresses(bytes: Buffer, { start, count }: Names, tokensEnd: number): BigUint64Array | undefined {
  const before = start - 8 - align(4 * count);
  const behind = align(tokensEnd);
  for (const [offsets, base] of [
    [before, start - 8],
    [behind, align(behind + 4 * count)],
  ] as const) {
    if (offsets < 0 || base + 8 > bytes.length) continue;
    const relativeTo = bytes.readBigUInt64LE(base);
    if (isImageAddress(relativeTo)) return addressesFrom(bytes, offsets, count, relativeTo);
  }
  return undefined;
}

/**
 * An offset counts from the base. Where per-CPU symbols are absolute (CONFIG_KALLSYMS_ABSOLUTE_PERCPU, gone in 6.15) it is
 * negative, less one, and those that are not are addresses.
 */
function addressesFrom(bytes: Buffer, offsets: number, count: number, base: bigint): BigUint64Array {
  const values = Array.from({ length: count }, (_, index) => bytes.readInt32LE(offsets + 4 * index));
  const absolute = values.filter((value) => value < 0).length > count / 2;
  return BigUint64Array.from(values, (value) => {
    if (!absolute) return base + BigInt(value >>> 0);
    return value < 0 ? base + BigInt(-1 - value) : BigInt(value);
  });
}

function decodeNames(bytes: Buffer, { count, places }: Names, tokens: readonly string[]): string[] {
  return Array.from({ length: count }, (_, index) => {
    const at = places[index] ?? 0;
    const length = nameLength(bytes, at);
    const from = at + length.bytes;
    let name = '';
    for (let byte = from; byte < from + length.value && name.length <= MAX_NAME; byte += 1)
      name += tokens[bytes[byte] ?? 0] ?? '';
    // The first character is the type that nm(1) prints.
    return name.slice(1);
  });
}

function align(value: number): number {
  return (value + 7) & ~7;
}

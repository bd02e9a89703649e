/**
 * The bytes of the guest's side on the serial console are shifted into a range that neither the kernel nor an echo of what was
 * typed ever has: the letters of base64 to 0xC0..0xFF, space to 0x82, line feed to 0x83. Everything else on the line is
 * somebody else's, wherever it was put in between.
 */
export const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The translation as arguments of tr(1), behind `tr -d =`. */
export const SHIFT = `tr 'A-Za-z0-9+/ \\n' '\\300-\\377\\202\\203'`;
/** A byte that acknowledges a line of input. */
export const INPUT_TAKEN = 0x84;

const DECODE = new Uint8Array(256);
for (let index = 0; index < 64; index += 1) DECODE[0xc0 + index] = LETTERS.charCodeAt(index);
DECODE[0x82] = 0x20;
DECODE[0x83] = 0x0a;
DECODE[INPUT_TAKEN] = 0x07;

export interface Unshifted {
  /** Ours, as it was before it was moved; an acknowledgement is BEL. */
  readonly ours: Buffer;
  /** What others wrote. */
  readonly theirs: Buffer;
}

export function unshift(chunk: Uint8Array): Unshifted {
  const ours = Buffer.allocUnsafe(chunk.length);
  const theirs = Buffer.allocUnsafe(chunk.length);
  let [mine, other] = [0, 0];
  for (const byte of chunk) {
    const letter = DECODE[byte] ?? 0;
    if (letter === 0) theirs[other++] = byte;
    else ours[mine++] = letter;
  }
  return { ours: ours.subarray(0, mine), theirs: theirs.subarray(0, other) };
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit += 1) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value;
});

/** The checksum of cksum(1): POSIX, "cksum", CRC of the bytes and of their number. */
export function cksum(bytes: Uint8Array): number {
  let sum = 0;
  const step = (byte: number) => {
    sum = (sum << 8) ^ (TABLE[((sum >>> 24) ^ byte) & 0xff] ?? 0);
  };
  for (const byte of bytes) step(byte);
  for (let length = bytes.length; length > 0; length = Math.floor(length / 256)) step(length & 0xff);
  return ~sum >>> 0;
}

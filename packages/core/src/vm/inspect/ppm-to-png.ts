import { crc32, deflateSync } from 'node:zlib';
import { QmpilotError } from '../../errors.js';

/** Three bytes a pixel, row by row. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** The binary form, `P6`, with 255 levels: what QEMU writes (ppm(5)). */
export function parsePpm(bytes: Buffer): Pixels {
  const header = /^P6\s+(?:#[^\n]*\n\s*)*(\d{1,5})\s+(\d{1,5})\s+255\s/.exec(bytes.subarray(0, 200).toString('latin1'));
  const [width, height] = [Number(header?.[1]), Number(header?.[2])];
  const rgb = bytes.subarray(header?.[0].length ?? 0);
  if (!header || rgb.length < width * height * 3) {
    throw new QmpilotError('QMP_COMMAND', 'QEMU wrote an incomplete picture', {
      hint: 'is there room in the temporary directory?',
    });
  }
  return { width, height, rgb };
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Eight bits a sample, colour type RGB, no interlace: PNG specification, 11.2.1. */
const RGB8 = [8, 2, 0, 0, 0];

export function encodePng({ width, height, rgb }: Pixels): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set(RGB8, 8);
  const stride = width * 3;
  const rows = Buffer.alloc(height * (stride + 1));
  // Filter 0 in front of each row: a screen of text compresses well without one.
  for (let row = 0; row < height; row += 1)
    rows.set(rgb.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

import { expect, it } from 'vitest';
import { readElfCore } from './elf-core.js';

/** A dump of one CPU, and of memory at 0x100000. */
function dump(): Buffer {
  const state = Buffer.alloc(440);
  state.writeUInt32LE(1, 0);
  state.writeUInt32LE(440, 4);
  state.writeBigUInt64LE(0x1234n, 8 + 6 * 8);
  state.writeBigUInt64LE(0xffff_ffff_8100_0000n, 8 + 16 * 8);
  state.writeUInt32LE(0x33, 152);
  state.writeBigUInt64LE(0x5000n, 392 + 24);
  const note = (name: string, content: Buffer) => {
    const head = Buffer.alloc(12);
    head.writeUInt32LE(name.length + 1, 0);
    head.writeUInt32LE(content.length, 4);
    const padded = Buffer.alloc(Math.ceil((name.length + 1) / 4) * 4);
    padded.write(name, 'latin1');
    return Buffer.concat([head, padded, content]);
  };
  const notes = Buffer.concat([note('CORE', Buffer.alloc(16)), note('QEMU', state)]);
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01', 'latin1');
  header.writeUInt16LE(4, 16);
  header.writeUInt16LE(62, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  const program = (type: number, position: number, physical: number, length: number) => {
    const one = Buffer.alloc(56);
    one.writeUInt32LE(type, 0);
    one.writeBigUInt64LE(BigInt(position), 8);
    one.writeBigUInt64LE(BigInt(physical), 24);
    one.writeBigUInt64LE(BigInt(length), 32);
    return one;
  };
  return Buffer.concat([
    header,
    program(4, 176, 0, notes.length),
    program(1, 176 + notes.length, 0x10_0000, 4096),
    notes,
    Buffer.alloc(4096, 7),
  ]);
}
const readerOf = (bytes: Buffer) => (position: number, length: number) =>
  position + length <= bytes.length ? bytes.subarray(position, position + length) : undefined;

it('reads memory and registers of a dump', () => {
  const core = readElfCore(readerOf(dump()));
  expect(core?.pieces).toEqual([{ physical: 0x10_0000, length: 4096, position: expect.any(Number) }]);
  expect(core?.cpus).toMatchObject([{ index: 0, rip: 0xffff_ffff_8100_0000n, rsp: 0x1234n, cr3: 0x5000n, cpl: 3 }]);
});

it('refuses what is no dump, and reads what there is of one that was cut', () => {
  expect(readElfCore(readerOf(Buffer.from('KDUMP   ')))).toBeUndefined();
  expect(readElfCore(readerOf(dump().subarray(0, 100)))).toBeUndefined();
  expect(readElfCore(readerOf(dump().subarray(0, 300)))?.cpus).toEqual([]);
});

import { expect, it } from 'vitest';
import { buildElfCore } from '../fixture/elf-core-builder.js';
import { readElfCore } from './elf-core.js';

const dump = () =>
  buildElfCore(
    { rip: 0xffff_ffff_8100_0000n, rsp: 0x1234n, cr3: 0x5000n, codeSelector: 0x33 },
    0x10_0000,
    Buffer.alloc(4096, 7),
  );
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

import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readElfCore } from '../../../packages/core/src/introspect/dump/elf-core.js';
import { buildElfCore } from '../../../packages/core/src/introspect/fixture/elf-core-builder.js';
import { STATE, syntheticGuest } from '../../../packages/core/src/introspect/fixture/synthetic-guest.js';
import { explainDump } from '../../../packages/core/src/vm/inspect/explain/explain-dump.js';
import { fuzz, LIMIT, onlyFamily } from '../../support/fuzz/parameters.js';

const guest = syntheticGuest([
  { pid: 7, comm: 'waiter', state: STATE.blocked, waitsFor: 0 },
  { pid: 8, comm: 'holder', holds: 0 },
]);
const clean = buildElfCore({ rip: 0xffff_ffff_8100_0000n, rsp: 0n, cr3: 0x1000n, codeSelector: 0x10 }, 0, guest.bytes);
/** The header, two program headers, and the notes. */
const HEADERS = clean.length - guest.bytes.length;

/** Absurd counts, sizes and places, and those of other parts of the file. */
const word = fc.oneof(
  fc.constantFrom(0n, 1n, 4n, 56n, 0xffffn, 0xffff_ffffn, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 4096n),
  fc.nat(clean.length).map(BigInt),
  fc.bigInt(0n, 2n ** 64n - 1n),
);
const change = fc.record({ at: fc.nat(HEADERS - 8), size: fc.constantFrom(2, 4, 8), value: word });

function damaged(changes: readonly { readonly at: number; readonly size: number; readonly value: bigint }[]): Buffer {
  const bytes = Buffer.from(clean);
  for (const { at, size, value } of changes) {
    const whole = Buffer.alloc(8);
    whole.writeBigUInt64LE(value);
    whole.copy(bytes, at, 0, size);
  }
  return bytes;
}

let dir = '';
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'qmpilot-dump-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('explains the dump that is not damaged', () => {
  writeFileSync(join(dir, 'clean'), clean);
  const { stuck } = explainDump(join(dir, 'clean'), { minWait: 0 });
  expect(stuck[0]?.waitsFor?.owners[0]?.task?.comm).toBe('holder');
});

it(
  'headers of a dump are read or refused, and nothing is read beyond what they may hold',
  async () => {
    await fuzz(
      fc.property(fc.array(change, { minLength: 1, maxLength: 12 }), fc.nat(clean.length), (changes, length) => {
        const bytes = damaged(changes).subarray(0, length);
        let total = 0;
        const core = readElfCore((position, wanted) => {
          expect(Number.isNaN(position) || Number.isNaN(wanted) || wanted < 0).toBe(false);
          if (position < 0 || position + wanted > bytes.length) return undefined;
          total += wanted;
          return bytes.subarray(position, position + wanted);
        });
        expect(total).toBeLessThan(64 << 20);
        expect(core?.cpus.length ?? 0).toBeLessThanOrEqual(4096);
        expect(core?.pieces.length ?? 0).toBeLessThanOrEqual(1000);
      }),
    );
  },
  LIMIT,
);

it(
  'an explanation of a damaged dump ends, with one or with an error',
  async () => {
    const path = join(dir, 'damaged');
    await fuzz(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        writeFileSync(path, damaged(changes));
        onlyFamily(() => explainDump(path, { minWait: 0 }));
      }),
    );
  },
  LIMIT,
);

it('a thousand headers of one large note are not all read', () => {
  const [count, size] = [1000, 8 << 20];
  const headers = Buffer.alloc(64 + count * 56);
  clean.copy(headers, 0, 0, 64);
  headers.writeUInt16LE(count, 56);
  for (let index = 0; index < count; index += 1) {
    const at = 64 + index * 56;
    headers.writeUInt32LE(4, at);
    headers.writeBigUInt64LE(BigInt(headers.length), at + 8);
    headers.writeBigUInt64LE(BigInt(size), at + 32);
  }
  let total = 0;
  const notes = Buffer.alloc(size);
  readElfCore((position, wanted) => {
    total += wanted;
    return position < headers.length ? headers.subarray(position, position + wanted) : notes.subarray(0, wanted);
  });
  expect(total).toBeLessThan(64 << 20);
});

it('a folder, an empty file and no file at all are refused', () => {
  mkdirSync(join(dir, 'folder'));
  writeFileSync(join(dir, 'empty'), '');
  writeFileSync(join(dir, 'cut'), clean);
  truncateSync(join(dir, 'cut'), HEADERS);
  for (const name of ['folder', 'empty', 'cut'])
    expect(() => explainDump(join(dir, name))).toThrow(expect.objectContaining({ code: 'USAGE' }));
  expect(() => explainDump(join(dir, 'none'))).toThrow(expect.objectContaining({ code: 'IO' }));
  expect(() => explainDump('')).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

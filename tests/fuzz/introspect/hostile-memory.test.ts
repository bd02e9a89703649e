import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Btf } from '../../../packages/core/src/introspect/btf/btf.js';
import { captureGuest, describeCapture } from '../../../packages/core/src/introspect/explanation/explain.js';
import { STATE, syntheticGuest } from '../../../packages/core/src/introspect/fixture/synthetic-guest.js';
import { findKernel } from '../../../packages/core/src/introspect/kernel.js';
import { fuzz, LIMIT, onlyFamily } from '../../support/fuzz/parameters.js';

const TASKS = [
  { pid: 7, comm: 'waiter', state: STATE.blocked, waitsFor: 0, holds: 1 },
  { pid: 8, comm: 'other', state: STATE.blocked, waitsFor: 1 },
  { pid: 9, comm: 'holder', holds: 0 },
  { pid: 10, comm: 'third', state: STATE.blocked, waitsFor: 0 },
];
const clean = syntheticGuest(TASKS);
const identity = findKernel(clean, clean.cpus);

/** Words of tasks, stacks, rings and of the kernel's own data; page tables are the guest's as well. */
const PLACES = [
  0x1000, 0x2000, 0x3000, 0x38_4000, 0x60_1000, 0x60_2000, 0x60_3000, 0x60_4000, 0x64_7f00, 0x64_bf00, 0x70_0000,
  0x70_1000,
];
const place = fc.tuple(fc.constantFrom(...PLACES), fc.nat(255)).map(([base, word]) => base + word * 8);
/** Pointers into the guest's own structs, wild ones, and absurd sizes. */
const value = fc.oneof(
  place.map((at) => clean.virtual(at)),
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.constantFrom(0n, 1n, 2n ** 64n - 1n, 2n ** 63n, 0x7fff_ffffn, 0xffff_ffffn, 0x8000_0000n),
);

describe('whatever a guest has in its memory', () => {
  it(
    'an explanation ends, and is of limited size',
    async () => {
      await fuzz(
        fc.property(fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 40 }), (writes) => {
          const guest = syntheticGuest(TASKS);
          for (const [at, word] of writes) guest.bytes.writeBigUInt64LE(word, at);
          onlyFamily(() => {
            const captured = captureGuest({ memory: guest, cpus: guest.cpus }, identity);
            const explanation = describeCapture(captured, { minWaitMs: 0 });
            expect(JSON.stringify(explanation).length).toBeLessThan(1 << 20);
            for (const sentence of explanation.sentences) expect(sentence).not.toMatch(/\p{Cc}/u);
          });
        }),
      );
    },
    LIMIT,
  );

  it(
    'the search for the kernel ends, with one or with an error',
    async () => {
      const tables = fc.tuple(
        fc.integer({ min: 0x28_0000, max: 0x38_8000 }),
        fc.uint8Array({ minLength: 1, maxLength: 64 }),
      );
      await fuzz(
        fc.property(fc.array(tables, { minLength: 1, maxLength: 20 }), (writes) => {
          const guest = syntheticGuest(TASKS);
          for (const [at, bytes] of writes) guest.bytes.set(bytes, at);
          onlyFamily(() => {
            const found = findKernel(guest, guest.cpus);
            describeCapture(captureGuest({ memory: guest, cpus: guest.cpus }, found), { minWaitMs: 0 });
          });
        }),
      );
    },
    LIMIT,
  );

  it(
    'type information is read or refused, and no type is followed forever',
    async () => {
      const { bytes } = clean.btf;
      const change = fc.tuple(fc.integer({ min: 24, max: bytes.length - 4 }), fc.nat(0xffff));
      await fuzz(
        fc.property(fc.array(change, { minLength: 1, maxLength: 30 }), (changes) => {
          const damaged = Buffer.from(bytes);
          for (const [at, word] of changes) damaged.writeUInt16LE(word, at);
          const btf = Btf.parse(damaged);
          for (const struct of ['task_struct', 'ring', 'mutex', 'list_head']) {
            const id = btf?.struct(struct);
            if (!btf || id === undefined) continue;
            for (const { type } of btf.members(id)) btf.sizeOf(type);
            btf.member(struct, 'lock.wait_list.next');
          }
        }),
      );
    },
    LIMIT,
  );
});

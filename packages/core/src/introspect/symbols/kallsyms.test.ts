import { expect, it } from 'vitest';
import { buildKallsyms } from '../fixture/kallsyms-builder.js';
import { readKallsyms } from './kallsyms.js';

const BASE = 0xffff_ffff_8100_0000n;

it('cuts a name that is longer than any of the kernel', () => {
  const symbols = Array.from({ length: 1200 }, (_, index) => [`f${index}`, BASE + BigInt(index * 16)] as const);
  // Each of these characters stands for two.
  const long = ['\u0005'.repeat(10_000), BASE + 0x1_0000n] as const;
  const table = readKallsyms([{ address: BASE, bytes: buildKallsyms([...symbols, long], BASE, 'since 6.4') }]);
  expect(table?.size).toBe(1201);
  expect(table?.at(BASE + 0x1_0000n)?.name).toBe('t5'.repeat(256));
  expect(table?.at(BASE + 16n)?.name).toBe('f1');
});

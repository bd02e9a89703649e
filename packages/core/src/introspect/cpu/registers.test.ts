import { expect, it } from 'vitest';
import { parseRegisters } from './registers.js';

/** What QEMU 7.2 prints, shortened. */
const TEXT = `
CPU#0
RAX=0000000000000000 RBX=ff320cc93c2d8000 RCX=0000000000000001 RDX=0000000000000000
RSI=ff4637c40001fea0 RDI=ff320cc902802c00 RBP=ff320cc902802c00 RSP=ff4637c40001fe68
R8 =0000000000000000 R9 =ff320cc909140d00 R10=0000000000000001 R11=ff320cc909140d00
RIP=ffffffffa9f1e0a5 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0
GDT=     fffffe0000001000 0000007f
CR0=80050033 CR2=00007f2d4e9ee000 CR3=000000000369c000 CR4=00751ef0
CPU#1
RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000001 RDX=0000000000000000
RIP=000056104c1f0f3b RFL=00000046 [---Z-P-] CPL=3 II=0 A20=1 SMM=0 HLT=0
`;

it('reads the registers of each CPU, and leaves out one that is not whole', () => {
  const [cpu, ...others] = parseRegisters(TEXT);
  expect(others).toEqual([]);
  expect(cpu).toMatchObject({
    index: 0,
    rip: 0xffff_ffff_a9f1_e0a5n,
    rsp: 0xff46_37c4_0001_fe68n,
    cr3: 0x369_c000n,
    cr4: 0x75_1ef0n,
    cpl: 0,
  });
  expect(cpu?.general['r9']).toBe(0xff32_0cc9_0914_0d00n);
});

it('reads nothing from what is no x86 machine', () => {
  expect(parseRegisters('CPU#0\n PC=0000000000080000 X00=0000000000000000\n')).toEqual([]);
});

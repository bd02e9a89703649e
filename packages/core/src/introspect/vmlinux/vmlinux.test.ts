import { expect, it } from 'vitest';
import { buildIdNote, buildVmlinux } from '../fixture/vmlinux-builder.js';
import { findBuildId } from './build-id.js';
import { findVmcoreinfo } from './vmcoreinfo.js';
import { readVmlinux } from './vmlinux.js';

const ID = '3b43fad5034874490492495d552c0af6a5fab235';
const reader = (bytes: Buffer) => (position: number, length: number) =>
  position + length > bytes.length ? undefined : bytes.subarray(position, position + length);

it('reads the build id and the place of the code from an ELF file', () => {
  expect(readVmlinux(reader(buildVmlinux({ buildId: ID })))).toEqual({
    buildId: ID,
    text: 0xffff_ffff_8100_0000n,
    debugInfo: true,
  });
  expect(readVmlinux(reader(buildVmlinux({})))).not.toHaveProperty('buildId');
});

it('takes no damaged file for a kernel, and throws for none', () => {
  const whole = buildVmlinux({ buildId: ID });
  for (let length = 0; length < whole.length; length += 7)
    expect(readVmlinux(reader(whole.subarray(0, length)))).toBeUndefined();
  for (let at = 0; at < whole.length; at += 1) {
    const damaged = Buffer.from(whole);
    damaged[at] = 0xff;
    expect(() => readVmlinux(reader(damaged))).not.toThrow();
  }
});

it('finds the build id behind other notes', () => {
  const other = Buffer.from('040000000800000005000000474e550001000100c0000000', 'hex');
  expect(findBuildId(Buffer.concat([other, buildIdNote(ID)]))).toBe(ID);
  expect(findBuildId(other)).toBeUndefined();
  expect(findBuildId(Buffer.concat([Buffer.alloc(3, 0xff), buildIdNote(ID)]))).toBeUndefined();
});

it('reads the VMCOREINFO in the beginning of a dump, and none with a release that is a path', () => {
  const text = `OSRELEASE=6.1.0-56-cloud-amd64\nBUILD-ID=${ID}\nPAGESIZE=4096\n`;
  expect(findVmcoreinfo(Buffer.from(`\x7fELF...${text}`))).toEqual({ release: '6.1.0-56-cloud-amd64', buildId: ID });
  expect(findVmcoreinfo(Buffer.from('OSRELEASE=5.4.0\nPAGESIZE=4096\n'))).toEqual({ release: '5.4.0' });
  expect(findVmcoreinfo(Buffer.from('OSRELEASE=../../etc\n'))).toBeUndefined();
  expect(findVmcoreinfo(Buffer.from('nothing'))).toBeUndefined();
});

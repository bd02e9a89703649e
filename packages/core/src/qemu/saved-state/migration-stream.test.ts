import { describe, expect, it } from 'vitest';
import { headOf, sameDevices, writableBlocks } from './migration-stream.js';

const MAGIC = Buffer.from('QEVM\0\0\0\x03', 'latin1');
const section = (number: number, name: string) =>
  Buffer.from(`\x04\0\0\0${String.fromCharCode(number, name.length)}${name}\0\0\0\0\0\0\0\x02`, 'latin1');
const devices = Buffer.concat([MAGIC, section(7, 'timer'), Buffer.from('data')]);
const head = Buffer.concat([MAGIC, Buffer.from('RAM and ROMs')]);

describe('the part of a state before its devices', () => {
  it('ends where the first device begins, whatever number that has', () => {
    const state = Buffer.concat([head, section(3, 'timer'), Buffer.from('other data')]);
    expect(headOf(state, devices)).toEqual(head);
  });

  it('is not found when the guest has put the name of a device into a device', () => {
    const state = Buffer.concat([head, section(3, 'timer'), section(3, 'timer')]);
    expect(headOf(state, devices)).toBeUndefined();
  });

  it('is not found in a state of another format', () => {
    expect(headOf(Buffer.concat([Buffer.from('QEVM\0\0\0\x04'), section(3, 'timer')]), devices)).toBeUndefined();
  });
});

it('takes no notice of the clock that counts on in a paused machine, and of nothing else', () => {
  const saved = (seconds: number, state: number) =>
    Buffer.concat([
      Buffer.from('\x0bmc146818rtc\0\0\0\0\0\0\0\x03', 'latin1'),
      Buffer.alloc(128, seconds),
      Buffer.from([state]),
    ]);
  expect(sameDevices(saved(1, 5), saved(2, 5))).toBe(true);
  expect(sameDevices(saved(1, 5), saved(1, 6))).toBe(false);
});

it('names the memory of devices that a guest can write to', () => {
  const info = `              Block Name    PSize              Offset               Used              Total
                     ram    4 KiB  0x0000000000000000 0x0000000040000000 0x0000000040000000
    /rom@etc/acpi/tables    4 KiB  0x0000000040080000 0x0000000000020000 0x0000000000200000
   0000:00:02.0/vga.vram    4 KiB  0x0000000040080000 0x0000000000400000 0x0000000000400000
                 pc.bios    4 KiB  0x0000000040000000 0x0000000000040000 0x0000000000040000`;
  expect(writableBlocks(info)).toEqual(['0000:00:02.0/vga.vram']);
});

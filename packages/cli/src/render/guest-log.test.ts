import { describe, expect, it } from 'vitest';
import { GuestLog } from './guest-log.js';

describe('the log of a guest as plain text', () => {
  it('leaves out what only draws, spells out the rest, and keeps tabs and lines', () => {
    const log = new GuestLog();
    const text = '\x1b[1;32mok\x1b[0m\ta\r\n\x1b]52;c;QQ==\x07bell\x07\n\x1b(Bhalf';
    const shown = [...Buffer.from(text)].map((byte) => log.push(Buffer.from([byte]))).join('') + log.end();
    expect(shown).toBe('ok\ta\nbell\\x07\nhalf\n');
  });

  it('does not wait forever for the end of a line', () => {
    const log = new GuestLog();
    expect(log.push(Buffer.alloc(70_000, 'x')).length).toBe(65_537);
  });
});

import { describe, expect, it } from 'vitest';
import { KernelLineFilter } from './kernel-lines.js';

const HUNG = '[  369.652117] INFO: task iou-sqp-1365:1378 blocked for more than 122 seconds.\r\n';

/** Through one filter, in pieces of `size` bytes, to the end. */
function filtered(text: string, size = text.length): string {
  const filter = new KernelLineFilter();
  const bytes = Buffer.from(text);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(filter.push(bytes.subarray(at, at + size)));
  return Buffer.concat([...out, filter.release()]).toString();
}

describe('KernelLineFilter', () => {
  it.each([1, 2, 7, 1000])(
    'takes lines out of the middle of sequences and characters, in pieces of %i bytes',
    (size) => {
      const program = '\x1b[3;1Hroot \x1b[38;2;1;2;3m\u4f60\u597d\x1b[m [ 12% ] done\r\n';
      const bytes = Buffer.from(program).toString('latin1');
      let time = 100;
      for (let at = 0; at <= bytes.length; at += 3) {
        const line = `[  ${(time += 1)}.000001][    T1] BUG: at ${at}\r\n`;
        const mixed = Buffer.from(bytes.slice(0, at) + line + bytes.slice(at), 'latin1').toString('latin1');
        const filter = new KernelLineFilter();
        const raw = Buffer.from(mixed, 'latin1');
        const out: Buffer[] = [];
        for (let from = 0; from < raw.length; from += size) out.push(filter.push(raw.subarray(from, from + size)));
        expect(Buffer.concat([...out, filter.release()]).toString()).toBe(program);
      }
    },
  );

  it('takes a record of several lines, which has one time', () => {
    expect(filtered(`a${HUNG}[  369.652117]       Not tainted 6.6.58 #1-NixOS\r\nb`)).toBe('ab');
  });

  it('takes records that have one time, or the times of two CPUs in disorder, with bytes of the program between them', () => {
    const lines = ['54.142053] INFO: task', '54.142053] Tainted', '54.142050] Call Trace:', '54.142053] task:iou'].map(
      (text) => `[   ${text}\r\n`,
    );
    expect(filtered(lines.map((line, index) => `${line}${index}`).join(''))).toBe('0123');
  });

  it('leaves what dmesg shows of lines that the console had before', () => {
    const shown = `[    1.500000] Linux version\r\n${HUNG}`;
    expect(filtered(`${HUNG}$ dmesg\r\n${shown}`)).toBe(`$ dmesg\r\n${shown}`);
  });

  it('leaves brackets of other kinds', () => {
    const text = '[root@nixos:~]# [ -f x ] [  OK  ] Started. [12.5] [0:08] [';
    for (const size of [1, 5, 100]) expect(filtered(text, size)).toBe(text);
  });

  it('holds back no more than what may still become a line of the kernel', () => {
    const filter = new KernelLineFilter();
    expect(String(filter.push(Buffer.from('x[   12.3')))).toBe('x');
    expect(filter.holds).toBe(true);
    expect(String(filter.push(Buffer.from('4%]')))).toBe('[   12.34%]');
    expect(filter.holds).toBe(false);
    expect(String(filter.push(Buffer.from(`[   12.345678] ${'x'.repeat(3000)}`))).length).toBe(3015);
  });
});

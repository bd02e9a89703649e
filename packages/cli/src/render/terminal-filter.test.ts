import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TerminalFilter } from './terminal-filter.js';

const filtered = (text: string) => new TerminalFilter().push(Buffer.from(text)).toString();

describe('the filter between a guest and the terminal of its user', () => {
  it('lets text, colours, cursor movement and the alternate screen through', () => {
    const drawn = 'Ünïcode 漢\r\n\x1b[1;31mred\x1b[0m\x1b[2J\x1b[10;5H\x1b[K\x1b[?1049h\x1b[?25l\x1bM';
    expect(filtered(drawn)).toBe(drawn);
  });

  it.each([
    ['the clipboard', '\x1b]52;c;ZXZpbA==\x07'],
    ['the title', '\x1b]0;evil\x1b\\'],
    ['links', '\x1b]8;;http://x\x1b\\'],
    ['the same by C1 characters', '\u009d52;c;ZXZpbA==\x07'],
    ['device control strings', '\x1bP$q"p\x1b\\'],
    ['a question that the terminal answers', '\x1b[c'],
    ['the question for the cursor', '\x1b[6n'],
    ['window operations', '\x1b[21t'],
    ['a reset', '\x1bc'],
    ['mouse reports', '\x1b[?1000h'],
    ['bracketed paste', '\x1b[?2004h'],
    ['a count that takes a terminal minutes', '\x1b[2147483647S\x1b[1;99999b'],
    ['a private string', '\x1b_payload\x1b\\'],
  ])('keeps back %s', (_what, sequence) => {
    expect(filtered(`a${sequence}b`)).toBe('ab');
  });

  it('filters a sequence that arrives in several chunks', () => {
    const pieces = fc.array(
      fc.constantFrom(
        'text',
        '\x1b]52;c;QQ==\x07',
        '\x1b[31m',
        '\u009d0;x\x07',
        '\x1b',
        '\x1b[',
        '漢',
        '\x1bP',
        '\x1b\\',
        '\u0085',
        '\r\n',
      ),
    );
    fc.assert(
      fc.property(pieces, fc.array(fc.integer({ min: 1, max: 5 })), (parts, cuts) => {
        const bytes = Buffer.from(parts.join(''));
        const filter = new TerminalFilter();
        const out: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) out.push(filter.push(bytes.subarray(at, (at += cut))));
        out.push(filter.push(bytes.subarray(at)));
        expect(Buffer.concat(out).toString('hex')).toBe(new TerminalFilter().push(bytes).toString('hex'));
        expect(Buffer.concat(out).toString('latin1')).not.toMatch(/\x1b[\]P_^X]/);
      }),
    );
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { KEYBOARD_LAYOUTS, layoutTable, strokesOf, strokesOfText, type KeyStroke } from './keyboard-layouts.js';

const XKB = JSON.parse(
  readFileSync(new URL('../../../../../tests/fixtures/keyboard/xkb.json', import.meta.url), 'utf8'),
) as Record<string, Record<string, (string | null)[]>>;
/** QEMU's names of the places, by the kernel's key code. */
const CODES: Record<string, number> = Object.fromEntries([
  ...'1 2 3 4 5 6 7 8 9 0 minus equal'.split(' ').map((name, index) => [name, index + 2]),
  ...'q w e r t y u i o p bracket_left bracket_right'.split(' ').map((name, index) => [name, index + 16]),
  ...'a s d f g h j k l semicolon apostrophe grave_accent'.split(' ').map((name, index) => [name, index + 30]),
  ...'backslash z x c v b n m comma dot slash'.split(' ').map((name, index) => [name, index + 43]),
  ['less', 86],
]);
const level = ({ shift, altgr }: KeyStroke) => (altgr ? 2 : shift ? 1 : 0);

describe.each(KEYBOARD_LAYOUTS)('the layout %s', (layout) => {
  it('has every character where xkb-data has it', () => {
    const wrong = [...layoutTable(layout)].filter(
      ([character, stroke]) =>
        character > ' ' &&
        CODES[stroke.key] !== undefined &&
        XKB[layout]?.[CODES[stroke.key] ?? 0]?.[level(stroke)] !== character,
    );
    expect(wrong).toEqual([]);
  });

  it('has all of ASCII', () => {
    for (let code = 0x20; code < 0x7f; code += 1)
      expect(strokesOf(layout, String.fromCharCode(code)), String.fromCharCode(code)).toBeDefined();
  });
});

describe('strokesOfText', () => {
  it('types with a dead key what has no key of its own', () => {
    expect(strokesOfText('fr', '\u00ea')).toEqual([{ key: 'bracket_left' }, { key: 'e' }]);
    expect(strokesOfText('de', '^')).toEqual([{ key: 'grave_accent' }, { key: 'spc' }]);
    expect(strokesOfText('de', 'e\u0301')).toEqual([{ key: 'equal' }, { key: 'e' }]);
  });

  it('names every character that the layout lacks, and the layout that has them', () => {
    expect(() => strokesOfText('us', 'a\u00e4\u00f6\u00e4')).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: 'the keyboard layout us has no key for "\u00e4" (U+00E4), "\u00f6" (U+00F6)',
        hint: expect.stringContaining('de or fr has'),
      }),
    );
    expect(() => strokesOfText('de', '\u4f60')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('a keyboard cannot type it') }),
    );
    expect(() => strokesOfText('xx' as never, 'a')).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: 'there are: us, gb, de, fr' }),
    );
  });
});

import { QmpilotError } from '../../errors.js';

/** Keyboard layouts of guests, by their names in XKB. */
export type KeyboardLayout = 'us' | 'gb' | 'de' | 'fr';

/** One key, by QEMU's name (QKeyCode, after the US layout), and the modifiers that are held. */
export interface KeyStroke {
  readonly key: string;
  readonly shift?: boolean;
  readonly altgr?: boolean;
  readonly control?: boolean;
  readonly alt?: boolean;
}

/** The places of the keys that type characters, row by row, from the left. */
const PLACES = [
  'grave_accent 1 2 3 4 5 6 7 8 9 0 minus equal',
  'q w e r t y u i o p bracket_left bracket_right',
  'a s d f g h j k l semicolon apostrophe backslash',
  'less z x c v b n m comma dot slash',
].map((row) => row.split(' '));

type Level = readonly [string, string, string, string];

/**
 * What each place types, as xkb-data's symbols/us, gb, de and fr have it; a space where there is nothing, or nothing on which X and the
 * Linux console agree. A dead key is written as its combining mark.
 */
const LAYOUTS: Readonly<
  Record<KeyboardLayout, { readonly plain: Level; readonly shift: Level; readonly altgr?: Level }>
> = {
  us: {
    plain: ['`1234567890-=', 'qwertyuiop[]', "asdfghjkl;'\\", ' zxcvbnm,./'],
    shift: ['~!@#$%^&*()_+', 'QWERTYUIOP{}', 'ASDFGHJKL:"|', ' ZXCVBNM<>?'],
  },
  gb: {
    plain: ['`1234567890-=', 'qwertyuiop[]', "asdfghjkl;'#", '\\zxcvbnm,./'],
    shift: ['¬!"£$%^&*()_+', 'QWERTYUIOP{}', 'ASDFGHJKL:@~', '|ZXCVBNM<>?'],
    altgr: ['    €        ', '            ', '            ', '           '],
  },
  de: {
    plain: ['\u03021234567890ß\u0301', 'qwertzuiopü+', 'asdfghjklöä#', '<yxcvbnm,.-'],
    shift: ['°!"§$%&/()=?\u0300', 'QWERTZUIOPÜ*', "ASDFGHJKLÖÄ'", '>YXCVBNM;:_'],
    altgr: ['  ²³   {[]}\\ ', '@ €        ~', '            ', '|      µ   '],
  },
  fr: {
    plain: ['²&é"\'(-è_çà)=', 'azertyuiop\u0302$', 'qsdfghjklmù*', '<wxcvbn,;:!'],
    shift: [' 1234567890°+', 'AZERTYUIOP\u0308£', 'QSDFGHJKLM%µ', '>WXCVBN?./§'],
    altgr: ['  ~#{[|`\\^@]}', '  €        ¤', '            ', '           '],
  },
};

export const KEYBOARD_LAYOUTS: readonly KeyboardLayout[] = ['us', 'gb', 'de', 'fr'];

/** Characters that a dead key and the space bar make. */
const SPACING: Readonly<Record<string, string>> = {
  '^': '\u0302',
  '`': '\u0300',
  '\u00b4': '\u0301',
  '\u00a8': '\u0308',
  '~': '\u0303',
};

const tables = new Map<KeyboardLayout, ReadonlyMap<string, KeyStroke>>();

/** Every character (or combining mark, for a dead key) that one stroke gives. */
export function layoutTable(layout: KeyboardLayout): ReadonlyMap<string, KeyStroke> {
  const known = tables.get(layout);
  if (known) return known;
  const levels = LAYOUTS[layout];
  if (levels === undefined) {
    throw new QmpilotError('USAGE', `unknown keyboard layout ${JSON.stringify(layout)}`, {
      hint: `there are: ${KEYBOARD_LAYOUTS.join(', ')}`,
    });
  }
  const table = new Map<string, KeyStroke>([
    [' ', { key: 'spc' }],
    ['\n', { key: 'ret' }],
    ['\r', { key: 'ret' }],
    ['\t', { key: 'tab' }],
    ['\b', { key: 'backspace' }],
    ['\x1b', { key: 'esc' }],
  ]);
  for (const [held, rows] of [
    [{}, levels.plain],
    [{ shift: true }, levels.shift],
    [{ altgr: true }, levels.altgr],
  ] as const) {
    for (const [row, characters] of (rows ?? []).entries()) {
      for (const [index, character] of [...characters].entries()) {
        const key = PLACES[row]?.[index];
        if (key !== undefined && !table.has(character)) table.set(character, { key, ...held });
      }
    }
  }
  tables.set(layout, table);
  return table;
}

/** The strokes of one character: with a dead key before it where the layout has no key of its own. Undefined where it has none at all. */
export function strokesOf(layout: KeyboardLayout, character: string): readonly KeyStroke[] | undefined {
  const table = layoutTable(layout);
  const direct = table.get(character);
  if (direct) return [direct];
  const [base = '', mark = '', ...more] = SPACING[character]
    ? [' ', SPACING[character]]
    : [...character.normalize('NFD')];
  const [dead, key] = [table.get(mark), table.get(base)];
  return dead && key && more.length === 0 && /^[a-zA-Z ]$/.test(base) ? [dead, key] : undefined;
}

/**
 * The strokes of a text.
 * @throws {USAGE} naming every character that the layout lacks
 */
export function strokesOfText(layout: KeyboardLayout, text: string): KeyStroke[] {
  const lacking = new Set<string>();
  const strokes = [...text.normalize('NFC').replaceAll('\r\n', '\n')].flatMap((character) => {
    const found = strokesOf(layout, character);
    if (!found) lacking.add(character);
    return found ?? [];
  });
  if (lacking.size === 0) return strokes;
  const named = [...lacking]
    .slice(0, 10)
    .map(
      (character) =>
        `${JSON.stringify(character)} (U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')})`,
    );
  const able = KEYBOARD_LAYOUTS.filter((other) => [...lacking].every((character) => strokesOf(other, character)));
  throw new QmpilotError('USAGE', `the keyboard layout ${layout} has no key for ${named.join(', ')}`, {
    hint:
      able.length > 0
        ? `the layout ${able.join(' or ')} has, if the guest is set to it`
        : 'a keyboard cannot type it: write it by vm.console.type, or by a file and vm.exec',
  });
}

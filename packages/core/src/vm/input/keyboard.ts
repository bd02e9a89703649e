import * as v from 'valibot';
import { KEYS, TYPE_ENTRIES } from '../../console/console-schema.js';
import type { TypeOptions, Typed } from '../../console/type-options.js';
import { QmpilotError } from '../../errors.js';
import type { QmpClient } from '../../qmp/client.js';
import { pause, type WaitOptions } from '../../util/async/deadline.js';
import { Mutex } from '../../util/async/mutex.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import { DURATION, TEXT } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import {
  KEYBOARD_LAYOUTS,
  layoutTable,
  strokesOf,
  strokesOfText,
  type KeyboardLayout,
  type KeyStroke,
} from './keyboard-layouts.js';
import { keyboardRead } from './keyboard-pace.js';

export interface KeyboardOptions extends TypeOptions {
  /** The layout that the guest is set to; default `us`. */
  readonly layout?: KeyboardLayout | undefined;
  /** Pause after each stroke, beside waiting until the guest has read the keyboard; default 0. */
  readonly delay?: Duration | undefined;
}

const KEYBOARD_OPTIONS = v.strictObject({
  ...TYPE_ENTRIES,
  layout: v.optional(v.picklist(KEYBOARD_LAYOUTS)),
  delay: v.optional(DURATION),
} satisfies Record<keyof KeyboardOptions, v.GenericSchema>);

/** Keys that type no character, by the names that `console.press` takes as well; the values are QEMU's names. */
const NAMED: Readonly<Record<string, string>> = {
  Enter: 'ret',
  Return: 'ret',
  Tab: 'tab',
  Escape: 'esc',
  Esc: 'esc',
  Space: 'spc',
  Backspace: 'backspace',
  BSpace: 'backspace',
  Up: 'up',
  Down: 'down',
  Left: 'left',
  Right: 'right',
  Home: 'home',
  End: 'end',
  PageUp: 'pgup',
  PgUp: 'pgup',
  PageDown: 'pgdn',
  PgDn: 'pgdn',
  Insert: 'insert',
  Delete: 'delete',
  CapsLock: 'caps_lock',
  NumLock: 'num_lock',
  ScrollLock: 'scroll_lock',
  Pause: 'pause',
  Print: 'print',
  SysRq: 'sysrq',
  Menu: 'compose',
  Super: 'meta_l',
  Shift: 'shift',
  Control: 'ctrl',
  Alt: 'alt',
  AltGr: 'alt_r',
  F1: 'f1',
  F2: 'f2',
  F3: 'f3',
  F4: 'f4',
  F5: 'f5',
  F6: 'f6',
  F7: 'f7',
  F8: 'f8',
  F9: 'f9',
  F10: 'f10',
  F11: 'f11',
  F12: 'f12',
};

/** The keyboard of the graphical console, over QMP's `input-send-event`. Calls run one after the other. */
export class Keyboard {
  readonly #qmp: () => QmpClient;
  readonly #onTyped: (typed: Typed) => void;
  readonly #turns = new Mutex('the keyboard');

  /** @internal Use `vm.keyboard`. */
  constructor(qmp: () => QmpClient, onTyped: (typed: Typed) => void) {
    this.#qmp = qmp;
    this.#onTyped = onTyped;
  }

  /**
   * Types a text, key by key; a line feed is the Enter key. The guest must have the same layout.
   * @throws {USAGE} for a character that the layout lacks; nothing is typed then
   * @throws {TIMEOUT} {ABORTED} {QMP_LINK}
   */
  async type(text: string, options: KeyboardOptions = {}): Promise<void> {
    validate(TEXT, text, 'keyboard.type: text');
    validate(KEYBOARD_OPTIONS, options, 'keyboard.type: options');
    await this.#send(strokesOfText(options.layout ?? 'us', text), options, { text });
  }

  /**
   * Presses keys one after the other, named as for `console.press`: `press('C-M-Delete')`, `press('M-F2')`, `press('q')`.
   * @throws {USAGE} for an unknown key; nothing is pressed then
   */
  async press(key: string, ...more: readonly (string | KeyboardOptions)[]): Promise<void> {
    const last = more.at(-1);
    const options = typeof last === 'object' ? last : {};
    const keys = [key, ...(typeof last === 'object' ? more.slice(0, -1) : more)];
    validate(KEYS, keys, 'keyboard.press: keys');
    validate(KEYBOARD_OPTIONS, options, 'keyboard.press: options');
    const names = keys.filter((name) => typeof name === 'string');
    const strokes = names.flatMap((name) => pressed(name, options.layout ?? 'us'));
    await this.#send(strokes, options, { keys: names });
  }

  /** @internal Presses and releases `keys` together, by QEMU's names. */
  async chord(keys: readonly string[], options: WaitOptions = {}): Promise<void> {
    await this.#inTurn(options, (limit) => sendEvents(this.#qmp(), keys, limit));
  }

  #send(strokes: readonly KeyStroke[], options: KeyboardOptions, typed: Typed): Promise<void> {
    const delayMs = parseDuration(options.delay ?? 0, 'delay');
    return this.#inTurn(options, async (limit) => {
      this.#onTyped(options.secret === true ? {} : typed);
      for (const { key, shift, altgr, control, alt } of strokes) {
        const held = [control && 'ctrl', alt && 'alt', shift && 'shift', altgr && 'alt_r'].filter(
          (name) => typeof name === 'string',
        );
        await sendEvents(this.#qmp(), [...held, key], limit);
        await keyboardRead(this.#qmp(), limit);
        if (delayMs > 0) await pause(delayMs, limit.signal);
      }
    });
  }

  #inTurn(options: WaitOptions, task: (limit: WaitOptions) => Promise<void>): Promise<void> {
    return this.#turns.runWithin('the guest to read its keyboard', options, task);
  }
}

/** Down and up in one command: a key that is held while a host is busy would be repeated by the guest. */
async function sendEvents(qmp: QmpClient, keys: readonly string[], options: WaitOptions): Promise<void> {
  const event = (data: string, down: boolean) => ({ type: 'key', data: { down, key: { type: 'qcode', data } } });
  const events = [...keys.map((key) => event(key, true)), ...keys.toReversed().map((key) => event(key, false))];
  await qmp.executeUntyped('input-send-event', { events }, options);
}

function pressed(key: string, layout: KeyboardLayout): KeyStroke[] {
  layoutTable(layout);
  const modifiers = /^(?:[CMS]-(?=.))*/su.exec(key)?.[0] ?? '';
  const name = key.slice(modifiers.length);
  const qcode = NAMED[name];
  const strokes = qcode !== undefined ? [{ key: qcode }] : [...name].length === 1 ? strokesOf(layout, name) : undefined;
  if (!strokes) {
    throw new QmpilotError('USAGE', `${JSON.stringify(key)} is not a key of the layout ${layout}`, {
      hint: "name it as tmux does: 'Enter', 'Escape', 'Up', 'F5', 'C-b', 'M-x', 'S-Tab', or one character; type() types text",
    });
  }
  const held = {
    ...(modifiers.includes('C-') && { control: true }),
    ...(modifiers.includes('M-') && { alt: true }),
    ...(modifiers.includes('S-') && { shift: true }),
  };
  return strokes.map((stroke, index) => (index === strokes.length - 1 ? { ...stroke, ...held } : stroke));
}

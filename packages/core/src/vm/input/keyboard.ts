import type { TypeOptions, Typed } from '../../console/console.js';
import { QmpilotError } from '../../errors.js';
import type { QmpClient } from '../../qmp/client.js';
import { pause, type WaitOptions } from '../../util/async/deadline.js';
import { layoutTable, strokesOf, strokesOfText, type KeyboardLayout, type KeyStroke } from './keyboard-layouts.js';
import { keyboardRead } from './keyboard-pace.js';

export interface KeyboardOptions extends TypeOptions {
  /** What the guest takes its keyboard for; default `us`. */
  readonly layout?: KeyboardLayout | undefined;
  /** Between two strokes, in ms, beside waiting until the guest has read the keyboard; default 0. */
  readonly delay?: number | undefined;
}

/** Keys that type nothing, by the names that `console.press` takes as well, and QEMU's names of them. */
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

/** The keyboard of the graphical console, over QMP's `input-send-event`. Calls are carried out one after the other. */
export class Keyboard {
  readonly #qmp: () => QmpClient;
  readonly #onTyped: (typed: Typed) => void;
  #turn: Promise<void> = Promise.resolve();

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
    await this.#send(strokesOfText(options.layout ?? 'us', text), options, { text });
  }

  /**
   * Presses keys one after the other, named as for `console.press`: `press('C-M-Delete')`, `press('M-F2')`, `press('q')`.
   * @throws {USAGE} for an unknown key; nothing is pressed then
   */
  async press(key: string, ...more: readonly (string | KeyboardOptions)[]): Promise<void> {
    const options = more.find((one): one is KeyboardOptions => typeof one === 'object') ?? {};
    const keys = [key, ...more.filter((one): one is string => typeof one === 'string')];
    await this.#send(
      keys.flatMap((one) => pressed(one, options.layout ?? 'us')),
      options,
      { keys },
    );
  }

  /** @internal Presses and releases `keys` together, by QEMU's names. */
  async chord(keys: readonly string[], options: WaitOptions = {}): Promise<void> {
    await this.#inTurn(async () => sendEvents(this.#qmp(), keys, options));
  }

  #send(strokes: readonly KeyStroke[], options: KeyboardOptions, typed: Typed): Promise<void> {
    return this.#inTurn(async () => {
      this.#onTyped(options.secret === true ? {} : typed);
      for (const { key, shift, altgr, control, alt } of strokes) {
        const held = [control && 'ctrl', alt && 'alt', shift && 'shift', altgr && 'alt_r'].filter(
          (name) => typeof name === 'string',
        );
        await sendEvents(this.#qmp(), [...held, key], options);
        await keyboardRead(this.#qmp(), options);
        if (options.delay) await pause(options.delay, options.signal);
      }
    });
  }

  #inTurn(task: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(task);
    this.#turn = done.catch(() => {});
    return done;
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

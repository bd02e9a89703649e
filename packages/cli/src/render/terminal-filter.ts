/**
 * Passes a guest's console on to the user's own terminal, without what reaches beyond the screen: OSC (title, clipboard, links),
 * DCS, APC, PM and SOS strings, queries that make the terminal type an answer, window operations, and resets. Works on any
 * chunking; invalid UTF-8 is passed on unchanged. The forms are those of ECMA-48 and xterm's ctlseqs.
 */
export class TerminalFilter {
  #state: 'text' | 'escape' | 'csi' | 'string' | 'string-escape' | 'c1' = 'text';
  #held: number[] = [];

  push(chunk: Uint8Array): Buffer {
    const out: number[] = [];
    for (const byte of chunk) this.#take(byte, out);
    return Buffer.from(out);
  }

  #take(byte: number, out: number[]): void {
    switch (this.#state) {
      case 'text':
        if (byte === ESC) this.#state = 'escape';
        else if (byte === C1_LEAD) this.#state = 'c1';
        else if (byte === 0x0e || byte === 0x0f || byte === 0x05 || byte === 0x7f) return;
        else out.push(byte);
        return;
      case 'c1':
        // U+0080 to U+009F are control characters in UTF-8 as well.
        this.#state = 'text';
        if (byte >= 0x80 && byte <= 0x9f) {
          if (STRING_OPENERS_C1.has(byte)) this.#state = 'string';
          else if (byte === 0x9b) this.#open();
        } else {
          out.push(C1_LEAD);
          this.#take(byte, out);
        }
        return;
      case 'escape':
        if (byte === 0x5b) this.#open();
        else if (STRING_OPENERS.has(byte)) this.#state = 'string';
        else if (byte === ESC) return;
        else {
          this.#state = 'text';
          // ESC c resets the terminal, ESC Z asks for its identity; character sets are selected by two bytes.
          if (byte === 0x63 || byte === 0x5a) return;
          out.push(ESC, byte);
        }
        return;
      case 'csi':
        if (byte === ESC) this.#state = 'escape';
        else if (byte < 0x20) out.push(byte);
        else {
          this.#held.push(byte);
          if (byte >= 0x40 && byte <= 0x7e) {
            this.#state = 'text';
            if (isHarmless(this.#held)) out.push(ESC, 0x5b, ...this.#held);
          } else if (this.#held.length > MAX_CSI) this.#state = 'text';
        }
        return;
      case 'string':
        if (byte === ESC) this.#state = 'string-escape';
        else if (byte === 0x07 || byte === 0x18 || byte === 0x1a) this.#state = 'text';
        return;
      case 'string-escape':
        this.#state = byte === 0x5c ? 'text' : byte === ESC ? 'string-escape' : 'string';
    }
  }

  #open(): void {
    this.#state = 'csi';
    this.#held = [];
  }
}

const ESC = 0x1b;
const C1_LEAD = 0xc2;
const MAX_CSI = 64;
/** `P` DCS, `X` SOS, `]` OSC, `^` PM, `_` APC. */
const STRING_OPENERS = new Set([0x50, 0x58, 0x5d, 0x5e, 0x5f]);
const STRING_OPENERS_C1 = new Set([0x90, 0x98, 0x9d, 0x9e, 0x9f]);

/** Not `c` (who are you), `n` (where is the cursor), `t` (windows), `p`, `q`, `x`, `y` (resets, reports); private `?...h/l` only where it changes the screen. */
function isHarmless(sequence: readonly number[]): boolean {
  const text = String.fromCharCode(...sequence);
  const mode = /^\?([\d;]+)[hl]$/.exec(text);
  if (mode) return (mode[1] ?? '').split(';').every((one) => HARMLESS_MODES.has(one));
  // A count of two billion keeps some terminals busy for minutes.
  return /^(?:\d{0,4}[;:])*\d{0,4}[@A-HJ-MPSTXZ`abdefgmrsu]$/.test(text);
}

/** Cursor keys, screen size stays, origin, wrap, blinking and visible cursor, alternate screens. */
const HARMLESS_MODES = new Set(['1', '6', '7', '12', '25', '47', '1047', '1048', '1049']);

/**
 * Restores a terminal after a guest has drawn on it: main screen, visible cursor, no attributes, cursor keys as usual. The end of
 * a scrolling region moves the cursor to the top, so it is then moved below everything that was drawn.
 */
export const TERMINAL_RESTORE = '\x1b[?1049l\x1b[?1l\x1b[?7h\x1b[?25h\x1b[r\x1b[0m\x1b[999;1H';

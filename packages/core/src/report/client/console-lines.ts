import { safeText } from '../../util/text/text-hygiene.js';
import { timeAt, type Timing } from './timing.js';

export interface ConsoleLine {
  readonly at: number;
  readonly text: string;
  /** Number of consecutive lines that differ only in numbers and animation; the text is that of the last. */
  readonly times: number;
}

const MAX_LINES = 100_000;
const ESCAPE = 0x1b;

/**
 * A console's bytes as lines to read: a line feed, and a jump of the cursor to another row, begin a new one. What only
 * redraws (systemd's waiting job, a spinner) is folded into its last picture.
 */
export function consoleLines(bytes: Uint8Array, timing: Timing): ConsoleLine[] {
  const decoder = new TextDecoder();
  const lines: { at: number; text: string; times: number; shape: string }[] = [];
  const cut = (from: number, to: number) => {
    if (to <= from || lines.length >= MAX_LINES) return;
    const text = safeText(decoder.decode(bytes.subarray(from, to)))
      .replace(/\n/g, ' ')
      .trimEnd();
    if (text.trim() === '') return;
    const shape = shapeOf(text);
    const last = lines.at(-1);
    if (last !== undefined && shape !== '' && last.shape === shape) {
      last.text = text;
      last.times += 1;
    } else {
      lines.push({ at: timeAt(timing, from), text, times: 1, shape });
    }
  };
  let from = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    if (bytes[index] === 0x0a) {
      cut(from, index);
      from = index + 1;
    } else if (bytes[index] === ESCAPE && jumps(bytes, index)) {
      cut(from, index);
      from = index;
    }
  }
  cut(from, bytes.length);
  return lines.map(({ at, text, times }) => ({ at, text, times }));
}

/** ESC [ row ; column H or f, ESC [ row d: to another place. */
function jumps(bytes: Uint8Array, at: number): boolean {
  if (bytes[at + 1] !== 0x5b) return false;
  for (let index = at + 2; index < at + 12; index += 1) {
    const byte = bytes[index] ?? 0;
    if (byte === 0x48 || byte === 0x66 || byte === 0x64) return true;
    if (!(byte >= 0x30 && byte <= 0x3b)) return false;
  }
  return false;
}

/** Returns the constant part of an animated line: its text without numbers, stars and spinners; empty when hardly anything remains. */
function shapeOf(text: string): string {
  if (/^\[ *\d+\.\d+\]/.test(text)) return '';
  const shape = text.replace(/[\d*\s[\]⠀-⣿|/\\-]+/g, '').replace(/(min|s|h)+\//g, '/');
  return shape.length < 8 ? '' : shape.slice(0, 200);
}

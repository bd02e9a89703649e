import { truncate } from '../render/text/truncate.js';

export interface BlockSize {
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
}

const RESET = '\u001b[0m';
const STYLE = {
  bold: '\u001b[1m',
  dim: '\u001b[2m',
  red: '\u001b[31m',
  green: '\u001b[32m',
  yellow: '\u001b[33m',
  cyan: '\u001b[36m',
} as const;
export interface Piece {
  readonly text: string;
  readonly style?: keyof typeof STYLE | undefined;
}

/** `0:42`, `1:05:09`. */
export function clock(ms: number): string {
  const all = Math.max(0, Math.round(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const padded = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${padded(minutes)}:${padded(seconds)}` : `${minutes}:${padded(seconds)}`;
}

/** Joins styled pieces, cut to the width of the terminal so that no line wraps. */
export function line(pieces: readonly Piece[], { columns, color }: BlockSize): string {
  const text = pieces.map(({ text: own, style }) =>
    color && style !== undefined && own !== '' ? `${STYLE[style]}${own}${RESET}` : own,
  );
  return truncate(text.join(''), columns - 1, '');
}

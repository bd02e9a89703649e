import type { ScreenColor } from './cell.js';

/** The sixteen named colours as xterm shows them (XTerm-col.ad). */
const NAMED = [
  '#000000',
  '#cd0000',
  '#00cd00',
  '#cdcd00',
  '#0000ee',
  '#cd00cd',
  '#00cdcd',
  '#e5e5e5',
  '#7f7f7f',
  '#ff0000',
  '#00ff00',
  '#ffff00',
  '#5c5cff',
  '#ff00ff',
  '#00ffff',
  '#ffffff',
];
/** Levels of the 6 x 6 x 6 cube (xterm, 256colres.pl). */
const LEVELS = [0, 95, 135, 175, 215, 255];

export const DEFAULT_FOREGROUND = '#d0d0d0';
export const DEFAULT_BACKGROUND = '#101010';

/** `#rrggbb` of a colour; `fallback` where it is the terminal's default. */
export function toHex(color: ScreenColor, fallback: string): string {
  if (color === undefined) return fallback;
  if (typeof color === 'string') return color;
  const named = NAMED[color];
  if (named !== undefined) return named;
  if (color >= 232) return rgb(Array.from({ length: 3 }, () => 8 + (color - 232) * 10));
  const index = color - 16;
  return rgb([Math.floor(index / 36), Math.floor(index / 6) % 6, index % 6].map((level) => LEVELS[level] ?? 0));
}

function rgb(parts: readonly number[]): string {
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}

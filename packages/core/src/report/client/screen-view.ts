import { element } from './elements.js';
import type { Replay, Run } from './frames.js';
import { lastAtMost } from './timing.js';

/** The terminal at a moment; frames are changes, so going back starts from the first. */
export class ScreenView {
  readonly element: HTMLPreElement;
  readonly #replay: Replay;
  readonly #times: readonly number[];
  readonly #rows: HTMLElement[];
  #shown = -1;

  constructor(replay: Replay) {
    this.#replay = replay;
    this.#times = replay.frames.map(({ at }) => at);
    this.#rows = Array.from({ length: replay.rows }, () => element('span', { class: 'row' }));
    this.element = element(
      'pre',
      { 'class': 'screen', 'role': 'img', 'aria-label': 'The console as a terminal showed it' },
      ...this.#rows,
    );
    this.element.style.setProperty('--columns', String(replay.columns));
  }

  showAt(ms: number): void {
    const wanted = lastAtMost(this.#times, ms);
    if (wanted === this.#shown) return;
    const changed = new Map<number, readonly Run[]>();
    if (wanted < this.#shown) {
      this.#shown = -1;
      for (const row of this.#rows.keys()) changed.set(row, []);
    }
    for (let index = this.#shown + 1; index <= wanted; index += 1) {
      for (const [row, runs] of this.#replay.frames[index]?.rows ?? []) changed.set(row, runs);
    }
    this.#shown = wanted;
    for (const [row, runs] of changed) this.#rows[row]?.replaceChildren(...runs.map(piece), '\n');
    const cursor = this.#replay.frames[wanted]?.cursor;
    for (const [row, shown] of this.#rows.entries()) shown.classList.toggle('cursor', row === cursor?.row);
  }
}

function piece({ text, foreground, background, bold, dim, underline, inverse }: Run): HTMLElement | string {
  if (foreground === undefined && background === undefined && !bold && !dim && !underline && !inverse) return text;
  const names = [bold && 'bold', dim && 'dim', underline && 'underline'].filter((name) => name !== false);
  const made = element('span', names.length > 0 ? { class: names.join(' ') } : {}, text);
  const [front, back] = inverse
    ? [background ?? 'var(--term-back)', foreground ?? 'var(--term-fore)']
    : [foreground, background];
  if (front !== undefined) made.style.color = colour(front, bold);
  if (back !== undefined) made.style.backgroundColor = colour(back, false);
  return made;
}

/** Entries 0 to 15 are the theme's, the rest is xterm's cube and grey ramp. */
function colour(value: number | string, bright: boolean): string {
  if (typeof value === 'string') return value;
  if (value < 16) return `var(--term-${bright && value < 8 ? value + 8 : value})`;
  if (value >= 232) return `rgb(${[0, 0, 0].map(() => 8 + (value - 232) * 10).join(' ')})`;
  const cube = value - 16;
  return `rgb(${[Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((step) => (step === 0 ? 0 : 55 + step * 40)).join(' ')})`;
}

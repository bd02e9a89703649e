import { clock } from './axis.js';
import type { ConsoleLine } from './console-lines.js';
import { element, on } from './elements.js';
import { lastAtMost } from './timing.js';

const LINE_PX = 19;
const SPARE = 20;

/** The console's lines; only those in sight are in the document. */
export class LinesView {
  readonly element = element('div', {
    'class': 'lines',
    'tabindex': 0,
    'role': 'log',
    'aria-label': 'Lines of the console',
  });
  readonly #lines: readonly ConsoleLine[];
  readonly #times: readonly number[];
  readonly #inner = element('div', { class: 'inner' });
  readonly #nearMs: number;
  #chosen = -1;

  /** `nearMs`: how far from a moment its lines may be: a finding comes some seconds after the lines that it was read from. */
  constructor(lines: readonly ConsoleLine[], nearMs: number, signal: AbortSignal, onPick: (at: number) => void) {
    this.#nearMs = nearMs;
    this.#lines = lines;
    this.#times = lines.map(({ at }) => at);
    const longest = Math.min(
      2000,
      lines.reduce((most, { text }) => Math.max(most, text.length), 0),
    );
    this.#inner.style.height = `${lines.length * LINE_PX}px`;
    this.#inner.style.minWidth = `${longest + 12}ch`;
    this.element.append(this.#inner);
    if (lines.length === 0)
      this.#inner.append(element('p', { class: 'nothing' }, 'The console printed nothing in this attempt.'));
    on(this.element, 'scroll', signal, () => this.#draw());
    on(this.#inner, 'click', signal, (event) => {
      const line = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-line]') : null;
      const at = line ? this.#times[Number(line.dataset['line'])] : undefined;
      if (at !== undefined) onPick(at);
    });
    const observer = new ResizeObserver(() => this.#draw());
    observer.observe(this.element);
    signal.addEventListener('abort', () => observer.disconnect());
  }

  /** Marks the last line printed by then, or one near that holds one of the texts. */
  showAt(ms: number, holding: readonly string[] = []): void {
    let chosen = lastAtMost(this.#times, ms);
    for (const wanted of holding) {
      const near = this.#lines.findIndex(({ at, text }) => Math.abs(at - ms) <= this.#nearMs && text.includes(wanted));
      if (near === -1) continue;
      chosen = near;
      break;
    }
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    const height = this.element.clientHeight;
    const top = Math.max(0, chosen) * LINE_PX;
    if (top < this.element.scrollTop || top > this.element.scrollTop + height - LINE_PX)
      this.element.scrollTop = top - height / 2;
    this.#draw();
  }

  #draw(): void {
    if (this.#lines.length === 0) return;
    const from = Math.max(0, Math.floor(this.element.scrollTop / LINE_PX) - SPARE);
    const to = Math.min(this.#lines.length, from + Math.ceil(this.element.clientHeight / LINE_PX) + 2 * SPARE);
    const shown = this.#lines.slice(from, to).map(({ at, text, times }, index) => {
      const number = from + index;
      const line = element(
        'div',
        { 'class': number === this.#chosen ? 'line chosen' : 'line', 'data-line': number },
        element('span', { class: 'when' }, clock(at)),
        element('span', { class: 'text' }, text),
        times > 1 ? element('span', { class: 'again' }, `×${times}`) : undefined,
      );
      line.style.top = `${number * LINE_PX}px`;
      return line;
    });
    this.#inner.replaceChildren(...shown);
  }
}

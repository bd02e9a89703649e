import { clock } from './axis.js';
import { element, on } from './elements.js';

const SPEEDS = [1, 4, 16, 64];

/** Play, pause, speed and a slider over the time of an attempt. */
export class Player {
  readonly element: HTMLElement;
  readonly #slider: HTMLInputElement;
  readonly #time: HTMLElement;
  readonly #play: HTMLButtonElement;
  readonly #endMs: number;
  readonly #onTime: (at: number) => void;
  #speed = 4;
  #at = 0;
  #running = false;

  constructor(endMs: number, signal: AbortSignal, onTime: (at: number) => void) {
    this.#endMs = endMs;
    this.#onTime = onTime;
    this.#play = element('button', { 'type': 'button', 'class': 'play', 'aria-label': 'Play' }, '▶');
    this.#slider = element('input', {
      'type': 'range',
      'min': 0,
      'max': Math.ceil(endMs),
      'step': 1,
      'value': 0,
      'aria-label': 'Moment of the attempt',
    });
    this.#time = element('output', { class: 'now' });
    const speed = element('button', { type: 'button', title: 'Playback speed' });
    const showSpeed = () => {
      speed.textContent = `${this.#speed}×`;
      speed.setAttribute('aria-label', `Speed: ${this.#speed}×`);
    };
    showSpeed();
    this.element = element('div', { class: 'player' }, this.#play, speed, this.#slider, this.#time);
    on(this.#play, 'click', signal, () => this.#toggle());
    on(speed, 'click', signal, () => {
      this.#speed = SPEEDS[(SPEEDS.indexOf(this.#speed) + 1) % SPEEDS.length] ?? 1;
      showSpeed();
    });
    on(this.#slider, 'input', signal, () => {
      this.stop();
      this.#onTime(Number(this.#slider.value));
    });
    signal.addEventListener('abort', () => this.stop());
  }

  showAt(ms: number): void {
    this.#at = ms;
    this.#slider.value = String(Math.round(ms));
    this.#time.textContent = `${clock(ms)} of ${clock(this.#endMs)}`;
    this.#slider.setAttribute('aria-valuetext', this.#time.textContent);
  }

  stop(): void {
    this.#running = false;
    this.#play.textContent = '▶';
    this.#play.setAttribute('aria-label', 'Play');
  }

  #toggle(): void {
    if (this.#running) return this.stop();
    this.#running = true;
    this.#play.textContent = '❚❚';
    this.#play.setAttribute('aria-label', 'Pause');
    if (this.#at >= this.#endMs) this.#onTime(0);
    let before = performance.now();
    const step = (now: number) => {
      if (!this.#running) return;
      const next = Math.min(this.#endMs, this.#at + (now - before) * this.#speed);
      before = now;
      this.#onTime(next);
      if (next >= this.#endMs) this.stop();
      else requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }
}

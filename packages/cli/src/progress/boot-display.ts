import { briefProgress } from '../render/boot-progress.js';
import { paint } from '../render/text/color.js';
import { truncate } from '../render/text/truncate.js';
import { visible } from '../render/text/visible.js';
import type { DisplayKind } from './display-kind.js';
import { LiveBlock } from './live-block.js';

/** Shows the progress of a boot on standard error: seconds, stage, and the last line of the console. */
export class BootDisplay {
  readonly #kind: DisplayKind;
  readonly #begun = performance.now();
  readonly #block: LiveBlock | undefined;
  #stage = 'starting';
  #consoleLine = '';

  constructor(kind: DisplayKind) {
    this.#kind = kind;
    if (kind === 'live') this.#block = new LiveBlock(process.stderr, (columns) => [this.#render(columns)]);
  }

  stage(message: string): void {
    this.#stage = visible(briefProgress(message));
    if (this.#kind === 'lines') process.stderr.write(`${this.#stage}\n`);
  }

  consoleLine(line: string): void {
    this.#consoleLine = visible(line.trim());
  }

  /** A message above the live line. */
  say(text: string): void {
    if (this.#block) this.#block.above(text);
    else process.stderr.write(text);
  }

  /** Removes the live line; with `how`, leaves a line that says how the boot ended. */
  close(how?: string): void {
    this.#block?.close();
    if (how !== undefined && this.#kind === 'live') process.stderr.write(`${how}, ${this.#stage}\n`);
  }

  #render(columns: number): string {
    const seconds = `${Math.floor((performance.now() - this.#begun) / 1000)} s`.padStart(5);
    const head = `${seconds}  ${this.#stage}`;
    const line = this.#consoleLine === '' ? head : `${head}  ${paint('dim', `| ${this.#consoleLine}`, process.stderr)}`;
    return truncate(line, columns - 1);
  }
}

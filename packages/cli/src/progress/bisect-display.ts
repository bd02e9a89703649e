import type { BisectEvent } from '@qmpilot/core/bisect';
import { renderBisectEvent } from '../render/bisect-event.js';
import { renderBisectBlock } from './bisect-block.js';
import { BisectProgress } from './bisect-state.js';
import type { DisplayKind } from './display-kind.js';
import { LiveBlock } from './live-block.js';

/** Shows a bisection on standard error; standard output on the same terminal is written above the live block. */
export class BisectDisplay {
  readonly #kind: DisplayKind;
  readonly #state = new BisectProgress();
  readonly #block: LiveBlock | undefined;

  constructor(kind: DisplayKind) {
    this.#kind = kind;
    const color = !process.env['NO_COLOR'];
    if (kind === 'live')
      this.#block = new LiveBlock(process.stderr, (columns, rows) =>
        renderBisectBlock(this.#state, performance.now(), { columns, rows, color }),
      );
  }

  show(event: BisectEvent): void {
    this.#state.take(event, performance.now());
    // The block has the state of the search, and what happens now.
    const isInBlock = event.type === 'state' || event.type === 'run' || event.type === 'building';
    if (this.#kind === 'quiet' || (this.#block && isInBlock)) return;
    const text = renderBisectEvent(event);
    if (text !== undefined) this.say(`${text}\n`);
  }

  /** Writes a message for people, above the block. */
  say(text: string): void {
    if (this.#block) this.#block.above(text);
    else process.stderr.write(text);
  }

  /** Writes to standard output. */
  print(text: string): void {
    if (this.#block && process.stdout.isTTY) this.#block.above(text, (out) => void process.stdout.write(out));
    else process.stdout.write(text);
  }

  close(): void {
    this.#block?.close();
  }
}

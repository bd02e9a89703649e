import type { DisplayKind } from './display-kind.js';
import { LiveBlock } from './live-block.js';

interface BlockSize {
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
}

/** What a display shows of events. */
interface EventView<E> {
  /** The lines of the live block. */
  readonly render: (nowMs: number, size: BlockSize) => string[];
  readonly take: (event: E, nowMs: number) => void;
  /** One event as text; undefined when it is not shown, or is in the block. */
  readonly text: (event: E, hasBlock: boolean) => string | undefined;
}

/** Shows events on standard error; standard output on the same terminal is written above the live block. */
export class EventDisplay<E> {
  readonly #kind: DisplayKind;
  readonly #view: EventView<E>;
  readonly #block: LiveBlock | undefined;

  constructor(kind: DisplayKind, view: EventView<E>) {
    this.#kind = kind;
    this.#view = view;
    const color = !process.env['NO_COLOR'];
    if (kind === 'live')
      this.#block = new LiveBlock(process.stderr, (columns, rows) =>
        view.render(performance.now(), { columns, rows, color }),
      );
  }

  show(event: E): void {
    this.#view.take(event, performance.now());
    if (this.#kind === 'quiet') return;
    const text = this.#view.text(event, this.#block !== undefined);
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

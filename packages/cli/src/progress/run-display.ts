import type { RunEvent } from '@qmpilot/core';
import { RepeatedFindings, renderEvent } from '../render/run-event.js';
import { LiveBlock } from './live-block.js';
import { renderBlock } from './progress-block.js';
import { ProgressState } from './progress-state.js';

export type DisplayKind =
  /** Lines, and a block at the bottom that is drawn anew. */
  'live' | 'lines' | 'quiet';

/** Shows a run on standard error while it goes on; standard output, if on the same terminal, is written above the block. */
export class RunDisplay {
  readonly #kind: DisplayKind;
  readonly #state = new ProgressState();
  readonly #repeated = new RepeatedFindings();
  readonly #block: LiveBlock | undefined;
  #attempts = 0;
  #parallel = false;

  constructor(kind: DisplayKind) {
    this.#kind = kind;
    const color = !process.env['NO_COLOR'];
    if (kind === 'live')
      this.#block = new LiveBlock(process.stderr, (columns, rows) =>
        renderBlock(this.#state, performance.now(), { columns, rows, color }),
      );
  }

  /** What standard error can do. */
  static kind(quiet: boolean): DisplayKind {
    if (quiet) return 'quiet';
    return process.stderr.isTTY && process.env['TERM'] !== 'dumb' ? 'live' : 'lines';
  }

  show(event: RunEvent): void {
    if (event.type === 'run') this.#attempts = event.attempts;
    if (event.type === 'forks') this.#parallel = event.forks > 1;
    this.#state.take(event, performance.now());
    if (this.#kind === 'quiet' || this.#repeated.has(event)) return;
    const line = renderEvent(event, this.#attempts, this.#parallel);
    if (line !== undefined) this.say(`${line}\n`);
  }

  /** A text for people, above the block. */
  say(text: string): void {
    if (this.#block) this.#block.above(text);
    else process.stderr.write(text);
  }

  /** The answer. */
  print(text: string): void {
    if (this.#block && process.stdout.isTTY) this.#block.above(text, (out) => void process.stdout.write(out));
    else process.stdout.write(text);
  }

  close(): void {
    this.#block?.close();
  }
}

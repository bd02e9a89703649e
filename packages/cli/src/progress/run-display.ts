import type { RunEvent } from '@qmpilot/core';
import { RepeatedFindings, renderEvent } from '../render/run-event.js';
import { paint } from '../render/text/color.js';
import type { DisplayKind } from './display-kind.js';
import { LiveBlock } from './live-block.js';
import { renderBlock } from './progress-block.js';
import { ProgressState } from './progress-state.js';

/** Shows a run on standard error; standard output on the same terminal is written above the live block. */
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

  show(event: RunEvent): void {
    if (event.type === 'run') this.#attempts = event.attempts;
    if (event.type === 'forks') this.#parallel = event.forks > 1;
    this.#state.take(event, performance.now());
    if (this.#kind === 'quiet' || this.#repeated.has(event)) return;
    const line = renderEvent(event, this.#attempts, this.#parallel);
    if (line !== undefined) this.say(`${colored(event, line)}\n`);
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

const OUTCOME_COLORS = { reproduced: 'red', clean: 'green', inconclusive: 'yellow' } as const;

function colored(event: RunEvent, line: string): string {
  if (event.type === 'attempt') return paint(OUTCOME_COLORS[event.record.outcome], line, process.stderr);
  if (event.type === 'finding' && event.finding.severity === 'error') return paint('red', line, process.stderr);
  return line;
}

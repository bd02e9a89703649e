import { createInterface, type Interface } from 'node:readline';
import { isQmpilotError } from '@qmpilot/core';
import { EXIT } from '../../exit-codes.js';
import { printError } from '../../render/errors.js';
import { renderJson } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';
import { Completer } from './completion.js';
import { HISTORY_SIZE, historyPath, readHistory, writeHistory } from './history.js';
import { parseLine } from './line.js';
import type { Peer } from './session.js';

const HELP = `  COMMAND [JSON]             query-status    device_del {"id": "x"}
  COMMAND KEY=VALUE ...      blockdev-add driver=qcow2 node-name=d file.driver=file file.filename=/a
  hmp LINE                   a line of the human monitor
  help, exit                 Tab completes; Ctrl-C cancels a running command, Ctrl-D exits
`;

/** Runs the lines typed at a terminal or read from a pipe. Resolves with the exit status. */
export async function repl(peer: Peer): Promise<number> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const history = terminal ? await readHistory(historyPath()) : [];
  const completer = terminal ? new Completer(await peer.schema(), ['exit', 'help', 'hmp']) : undefined;
  const input = createInterface({
    input: process.stdin,
    output: terminal ? process.stdout : undefined,
    terminal,
    prompt: peer.prompt,
    history: [...history],
    historySize: HISTORY_SIZE,
    removeHistoryDuplicates: true,
    ...(completer && { completer: (line: string) => completer.complete(line) }),
  });
  if (terminal) process.stdout.write(`${visible(peer.title)}: type help for help\n`);
  const session = new Prompt(peer, input, terminal);
  peer.onEvent((event) => session.show(`${visible(event.event)} ${renderJson(event.data, false)}\n`));
  try {
    return await session.run();
  } finally {
    input.close();
    if (terminal) await writeHistory(historyPath(), session.history);
  }
}

class Prompt {
  history: readonly string[] = [];
  readonly #peer: Peer;
  readonly #input: Interface;
  readonly #terminal: boolean;
  #running: AbortController | undefined;
  #failed = false;

  constructor(peer: Peer, input: Interface, terminal: boolean) {
    this.#peer = peer;
    this.#input = input;
    this.#terminal = terminal;
    input.on('history', (lines: string[]) => {
      this.history = lines;
    });
    input.on('SIGINT', () => {
      if (this.#running) this.#running.abort();
      else {
        process.stdout.write('^C\n');
        input.write(null, { ctrl: true, name: 'u' });
        input.prompt();
      }
    });
  }

  /** Shows text above the line that is being typed. */
  show(text: string): void {
    process.stdout.write(this.#terminal && !this.#running ? `\r\u001b[K${text}` : text);
    if (this.#terminal && !this.#running) this.#input.prompt(true);
  }

  async run(): Promise<number> {
    let leaving = false;
    const lost = this.#peer.closed.then((reason) => {
      if (leaving || reason === undefined) return;
      this.#failed = true;
      printError(reason);
    });
    const lines = this.#input[Symbol.asyncIterator]();
    if (this.#terminal) this.#input.prompt();
    for (;;) {
      const next = await Promise.race([lines.next(), this.#peer.closed.then(() => undefined)]);
      if (next === undefined) {
        await lost;
        break;
      }
      if (next.done === true) break;
      if (/^\s*exit\s*$/.test(next.value)) break;
      await this.#take(next.value);
      if (this.#terminal) this.#input.prompt();
    }
    leaving = true;
    if (this.#terminal) process.stdout.write('\n');
    return this.#failed ? (this.#terminal ? EXIT.fine : EXIT.found) : EXIT.fine;
  }

  async #take(line: string): Promise<void> {
    if (line.trim() === 'help') return void process.stdout.write(HELP);
    this.#running = new AbortController();
    try {
      const hmp = /^\s*hmp\s+(.*)$/.exec(line);
      const parsed = hmp
        ? { command: 'human-monitor-command', args: { 'command-line': hmp[1] ?? '' } }
        : parseLine(line);
      if (!parsed) return;
      const value = await this.#peer.run(parsed.command, parsed.args, this.#running.signal);
      const text =
        hmp && typeof value === 'string'
          ? value.split(/\r?\n/).map(visible).join('\n')
          : `${renderJson(value, this.#terminal)}\n`;
      process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
    } catch (error) {
      this.#failed = true;
      if (!isQmpilotError(error)) throw error;
      printError(error);
    } finally {
      this.#running = undefined;
    }
  }
}

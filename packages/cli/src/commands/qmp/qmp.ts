import { isQmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration } from '../../arguments.js';
import { EXIT } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { renderJson } from '../../render/json.js';
import { parseArguments, parsePairs } from './line.js';
import { openPeer, type SessionOptions } from './session.js';

interface QmpOptions extends SessionOptions {
  readonly json?: boolean;
}

export function registerQmp(program: Command): void {
  program
    .command('qmp')
    .description('send QMP commands to any QEMU: one command, or a prompt with history and completion')
    .argument('<socket>', 'path of the unix socket (-qmp unix:PATH,server=on,wait=off)')
    .argument('[command]', 'QMP command; without one, a prompt or the lines of standard input')
    .argument('[arguments...]', 'one JSON object, - for JSON on standard input, or key=value pairs')
    .option('--timeout <time>', 'time limit for connecting and for each command (default: 10s and 30s)', duration)
    .option('--oob', 'execute the command out of band, before one that blocks')
    .option('--agent', 'the socket is that of a guest agent')
    .option('--tcp', 'the socket is HOST:PORT; anyone who can connect to it controls the VM')
    .option('--json', 'print the result or the error as a JSON line')
    .addHelpText('after', helpText('Exit status: 0 success, 1 QEMU returned an error, 2 usage error, 125 no answer.'))
    .action(async (socket: string, command: string | undefined, given: string[], options: QmpOptions) => {
      if (command === undefined) {
        await using peer = await openPeer(socket, options);
        const { repl } = await import('./repl.js');
        process.exitCode = await repl(peer);
        return;
      }
      const args = await readArguments(given);
      process.exitCode = await interruptible('cancelling', (signal) => runOne(socket, command, args, options, signal));
    });
}

async function runOne(
  socket: string,
  command: string,
  args: object | undefined,
  options: QmpOptions,
  signal: AbortSignal,
): Promise<number> {
  await using peer = await openPeer(socket, options, signal);
  try {
    const value = await peer.run(command, args, signal);
    const pretty = process.stdout.isTTY && options.json !== true;
    process.stdout.write(
      `${renderJson(options.json === true ? { v: 1, type: 'return', command, value } : value, pretty)}\n`,
    );
    return EXIT.fine;
  } catch (error) {
    if (!isQmpilotError(error, 'QMP_COMMAND')) throw error;
    const { qmpClass, desc } = Object(error) as { qmpClass: string; desc: string };
    if (options.json === true)
      process.stdout.write(`${renderJson({ v: 1, type: 'error', command, class: qmpClass, desc }, false)}\n`);
    else (await import('../../render/errors.js')).printError(error);
    return EXIT.found;
  }
}

async function readArguments(given: readonly string[]): Promise<object | undefined> {
  if (given.length === 0) return undefined;
  const [first = ''] = given;
  // The shell has split the words already: a blank inside of one belongs to its value.
  if (first !== '-')
    return given.length === 1 && first.trimStart().startsWith('{') ? parseArguments(first) : parsePairs(given);
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
  return parseArguments(text);
}

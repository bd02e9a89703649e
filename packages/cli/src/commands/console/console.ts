import type { Socket } from 'node:net';
import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { requireRunning } from '../../daemon/state.js';
import { sendMessage } from '../../daemon/wire.js';
import { helpText } from '../../help.js';
import { TERMINAL_RESTORE, TerminalFilter } from '../../render/terminal-filter.js';
import { visible } from '../../render/text/visible.js';

/** Ctrl-], as in telnet and virsh. */
const DETACH = 0x1d;

const HELP = `
Ctrl-] detaches; the VM keeps running. Several terminals can be attached at once; the guest's terminal takes the size of the one that was
attached or resized last. Guest output cannot change the clipboard, the title or the input of your terminal.

Keystrokes are not recorded. What the guest echoes is in its log; password prompts do not echo.`;

export function registerConsole(program: Command): void {
  program
    .command('console')
    .description('attach to the serial console of a VM; Ctrl-] detaches')
    .argument('<vm>', 'name of the VM')
    .addHelpText('after', helpText(HELP))
    .action(async (name: string) => {
      if (!process.stdin.isTTY || !process.stdout.isTTY) {
        throw new QmpilotError('USAGE', 'console: standard input and output must be a terminal', {
          hint: `without a terminal: qmpilot logs ${name}, qmpilot type ${name} TEXT, qmpilot screen ${name}`,
        });
      }
      await requireRunning(name);
      process.stderr.write(`attached to the console of ${name}; Ctrl-] detaches\r\n`);
      const reason = await attach(name);
      process.stderr.write(`${TERMINAL_RESTORE}\r\n${visible(reason)}\n`);
    });
}

async function attach(name: string): Promise<string> {
  const { stdin, stdout } = process;
  const detached = new AbortController();
  const filter = new TerminalFilter();
  let connection: Socket | undefined;
  const onInput = (chunk: Buffer) => {
    const end = chunk.indexOf(DETACH);
    const typed = end === -1 ? chunk : chunk.subarray(0, end);
    if (connection && typed.length > 0) sendMessage(connection, { bytes: typed.toString('base64') });
    if (end !== -1) detached.abort(new Error('detached'));
  };
  const onSignal = () => detached.abort(new Error('detached'));
  const onResize = () => {
    if (connection) sendMessage(connection, sizeOf(stdout));
  };
  const signals = ['SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    stdin.setRawMode(true);
    stdin.on('data', onInput);
    stdin.resume();
    stdout.on('resize', onResize);
    await call(name, 'console', sizeOf(stdout), {
      signal: detached.signal,
      onConnected: (socket) => {
        connection = socket;
      },
      onEvent: ({ bytes }) =>
        new Promise((resolve) => void stdout.write(filter.push(Buffer.from(bytes, 'base64')), () => resolve())),
    });
    return `the VM ${name} has ended`;
  } catch (error) {
    if (detached.signal.aborted) return `detached from ${name}; the VM keeps running`;
    if (error instanceof QmpilotError && error.code === 'CLOSED') return `the VM ${name} has ended`;
    throw error;
  } finally {
    stdin.off('data', onInput);
    stdout.off('resize', onResize);
    stdin.setRawMode(false);
    stdin.pause();
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** The size of the terminal, where it has one. */
function sizeOf({ columns, rows }: NodeJS.WriteStream): { readonly columns?: number; readonly rows?: number } {
  return columns > 1 && rows > 0 ? { columns, rows } : {};
}

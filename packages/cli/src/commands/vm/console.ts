import type { Socket } from 'node:net';
import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../keeper/client.js';
import { sendMessage } from '../../keeper/wire.js';
import { TERMINAL_RESTORE, TerminalFilter } from '../../render/terminal-filter.js';
import { visible } from '../../render/visible.js';

/** Ctrl-]: what telnet and virsh leave by. */
const DETACH = 0x1d;

const HELP = `
Ctrl-] leaves; the vm goes on. Any number of terminals may be at the same console; the guest's terminal takes the size of the one that
came or changed last. What the guest sends is drawn, but cannot reach the clipboard, the title or the input of your terminal. What you
type is not recorded; what the guest echoes is in its log, and a password prompt echoes nothing.`;

export function registerConsole(program: Command): void {
  program
    .command('console')
    .description("sit down at a vm's serial console; Ctrl-] leaves")
    .argument('<vm>', 'its name')
    .addHelpText('after', HELP)
    .action(async (name: string) => {
      if (!process.stdin.isTTY || !process.stdout.isTTY) {
        throw new QmpilotError('USAGE', 'console needs a terminal', {
          hint: `without one: qmpilot logs ${name}, type ${name} TEXT, screen ${name}`,
        });
      }
      process.stderr.write(`at the console of ${name}; Ctrl-] leaves\r\n`);
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
    return `the vm ${name} is over`;
  } catch (error) {
    if (detached.signal.aborted) return `left the console of ${name}; the vm goes on`;
    if (error instanceof QmpilotError && error.code === 'CLOSED') return `the vm ${name} is over`;
    throw error;
  } finally {
    stdin.off('data', onInput);
    stdout.off('resize', onResize);
    stdin.setRawMode(false);
    stdin.pause();
    for (const signal of signals) process.off(signal, onSignal);
  }
}

/** As far as it tells: some terminals have none. */
function sizeOf({ columns, rows }: NodeJS.WriteStream): { readonly columns?: number; readonly rows?: number } {
  return columns > 1 && rows > 0 ? { columns, rows } : {};
}

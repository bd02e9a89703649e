import type { Socket } from 'node:net';
import { QmpilotError } from '@qmpilot/core';
import { sendMessage } from './daemon/wire.js';
import { InterruptedError } from './interrupt.js';
import { TERMINAL_RESTORE, TerminalFilter } from './render/terminal-filter.js';

export interface TerminalSession {
  readonly signal: AbortSignal;
  /** Size of the terminal at the beginning. */
  readonly size: { readonly columns?: number; readonly rows?: number };
  readonly onConnected: (socket: Socket) => void;
  readonly onEvent: (event: { readonly bytes: string }) => Promise<void>;
}

/** @throws {USAGE} unless standard input and output are a terminal */
export function requireTerminal(command: string, hint: string): void {
  if (process.stdin.isTTY && process.stdout.isTTY) return;
  throw new QmpilotError('USAGE', `${command}: standard input and output must be a terminal`, { hint });
}

/**
 * Connects the terminal of this process, in raw mode, with a call to a daemon: keystrokes and sizes are sent, output is written
 * filtered. The signal of the session fires on SIGTERM, SIGHUP, and on the key `detach`.
 */
export async function withTerminal<T>(
  detach: number | undefined,
  task: (session: TerminalSession) => Promise<T>,
): Promise<T> {
  const { stdin, stdout } = process;
  const detached = new AbortController();
  const filter = new TerminalFilter();
  let connection: Socket | undefined;
  /** What was typed before there was a connection. */
  const early: Buffer[] = [];
  const send = (typed: Buffer) => {
    if (connection) sendMessage(connection, { bytes: typed.toString('base64') });
    else early.push(typed);
  };
  const onInput = (chunk: Buffer) => {
    const end = detach === undefined ? -1 : chunk.indexOf(detach);
    const typed = end === -1 ? chunk : chunk.subarray(0, end);
    if (typed.length > 0) send(typed);
    if (end !== -1) detached.abort(new Error('detached'));
  };
  const onSignal = (signal: NodeJS.Signals) => detached.abort(new InterruptedError(signal));
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
    return await task({
      signal: detached.signal,
      size: sizeOf(stdout),
      onConnected: (socket) => {
        connection = socket;
        for (const typed of early.splice(0)) send(typed);
      },
      onEvent: ({ bytes }) =>
        new Promise((resolve) => void stdout.write(filter.push(Buffer.from(bytes, 'base64')), () => resolve())),
    });
  } finally {
    stdin.off('data', onInput);
    stdout.off('resize', onResize);
    stdin.setRawMode(false);
    stdin.pause();
    for (const signal of signals) process.off(signal, onSignal);
    process.stderr.write(TERMINAL_RESTORE);
  }
}

/** The size of the terminal, where it has one. */
function sizeOf({ columns, rows }: NodeJS.WriteStream): { readonly columns?: number; readonly rows?: number } {
  return columns > 1 && rows > 0 ? { columns, rows } : {};
}

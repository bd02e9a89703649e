import type { Vm } from '@qmpilot/core';
import type { Call } from '../server.js';

/**
 * Attaches a client to the serial console: it gets the current screen and then every byte, and what it sends is typed. Several
 * clients share one console. The guest's terminal takes the size that a client sent last.
 */
export async function monitorConsole(vm: Vm, { args, signal, send, onMessage }: Call<'console'>): Promise<null> {
  const { screen } = vm.console;
  // Only over another console: `stty` must not be typed into the program that runs on this one.
  const resize = async (columns: number, rows: number) => {
    if (vm.hasShell && (columns !== screen.columns || rows !== screen.rowCount))
      await vm.console.resize(columns, rows, { signal });
  };
  let resizing = resize(args.columns ?? screen.columns, args.rows ?? screen.rowCount).catch(() => {});
  onMessage(({ bytes, columns, rows }) => {
    if (typeof bytes === 'string') vm.console.send(Buffer.from(bytes, 'base64'), { signal }).catch(() => {});
    if (typeof columns === 'number' && typeof rows === 'number')
      resizing = resizing.then(() => resize(columns, rows)).catch(() => {});
  });
  await resizing;
  await screen.drawn();
  const { row, column } = screen.cursor;
  const rows = screen.rows().join('\r\n').trimEnd();
  await send({ bytes: Buffer.from(`\x1b[2J\x1b[H${rows}\x1b[${row + 1};${column + 1}H`).toString('base64') });
  let sending = Promise.resolve();
  let waiting = 0;
  const forget = vm.console.onBytes((chunk) => {
    // A client that does not read loses output; the others do not wait for it.
    if (waiting > MAX_WAITING) return;
    waiting += chunk.length;
    const bytes = chunk.toString('base64');
    sending = sending.then(() => send({ bytes })).then(() => void (waiting -= chunk.length));
  });
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  forget();
  return null;
}

const MAX_WAITING = 8 << 20;

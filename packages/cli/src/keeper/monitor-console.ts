import type { Vm } from '@qmpilot/core';
import type { Call } from './server.js';

/**
 * A client at the serial console: it gets the screen as it stands and then every byte, and what it sends is typed. Any number of
 * them at once: they see the same, and type into the same. The guest's terminal has the size of the client's that told it last.
 */
export async function monitorConsole(vm: Vm, { args, signal, send, onMessage }: Call<'console'>): Promise<null> {
  const { screen } = vm.console;
  // By the console shell only: whoever sits down must not have `stty` typed at whatever runs there.
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
    // A client that does not read is not waited for: it loses output, nobody else does.
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

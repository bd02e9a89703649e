import type { Vm } from '@qmpilot/core';
import type { Call } from '../server.js';

/** Runs a program on a terminal of its own, which the client sees and types into. The program is killed when the client leaves. */
export async function runOnTerminal(
  vm: Vm,
  { args, signal, send, onMessage }: Call<'terminal'>,
): Promise<{ readonly exitCode: number }> {
  const { command, ...options } = args;
  await using process = await vm.spawn(command, { ...options, signal });
  const { console } = process;
  const early = Buffer.from(console.remember().bytes);
  let sending = early.length > 0 ? send({ bytes: early.toString('base64') }) : Promise.resolve();
  console.onBytes((chunk) => {
    // A client that does not read makes the program wait.
    const release = console.channel.hold();
    const bytes = chunk.toString('base64');
    sending = sending.then(() => send({ bytes })).finally(release);
  });
  let resizing = Promise.resolve();
  onMessage(({ bytes, columns, rows }) => {
    if (typeof bytes === 'string') console.send(Buffer.from(bytes, 'base64')).catch(() => {});
    if (typeof columns === 'number' && typeof rows === 'number')
      resizing = resizing.then(() => console.resize(columns, rows)).catch(() => {});
  });
  const exitCode = await process.exited;
  await sending;
  return { exitCode };
}

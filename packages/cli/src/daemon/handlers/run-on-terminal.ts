import type { Vm } from '@qmpilot/core';
import type { Call } from '../server.js';

/** Runs a program on a terminal of its own, which the client sees and types into. The program is killed when the client leaves. */
export async function runOnTerminal(
  vm: Vm,
  { args, signal, send, onMessage }: Call<'terminal'>,
): Promise<{ readonly exitCode: number }> {
  const { command, ...options } = args;
  const spawning = vm.spawn(command, { ...options, signal });
  // What was typed while the program starts is for the program.
  let resizing: Promise<unknown> = spawning.catch(() => {});
  onMessage(({ bytes, columns, rows }) => {
    if (typeof bytes === 'string')
      spawning.then(({ console }) => console.send(Buffer.from(bytes, 'base64'))).catch(() => {});
    if (typeof columns === 'number' && typeof rows === 'number')
      resizing = resizing.then(async () => (await spawning).console.resize(columns, rows)).catch(() => {});
  });
  await using process = await spawning;
  const { console } = process;
  const early = Buffer.from(console.remember().bytes);
  let sending = early.length > 0 ? send({ bytes: early.toString('base64') }) : Promise.resolve();
  console.onBytes((chunk) => {
    // Memory is bounded: while a client does not read, QEMU drops what the program prints.
    const release = console.channel.hold();
    const bytes = chunk.toString('base64');
    sending = sending.then(() => send({ bytes })).finally(release);
  });
  const exitCode = await process.exited;
  await sending;
  return { exitCode };
}

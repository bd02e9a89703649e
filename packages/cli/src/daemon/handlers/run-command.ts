import type { Vm } from '@qmpilot/core';
import type { Call } from '../server.js';
import { clientInput } from './client-input.js';

/** Runs a command; its output goes to the client as it comes. The command is killed when the client leaves. */
export async function runCommand(
  vm: Vm,
  { args, signal, send, onMessage }: Call<'exec'>,
): Promise<{ readonly exitCode: number; readonly durationMs: number }> {
  const { command, stdin, ...options } = args;
  const input = stdin === true ? clientInput(onMessage, (taken) => send({ taken })) : undefined;
  const stream = await vm.stream(command, { ...options, signal, ...(input && { input }) });
  for await (const { from, bytes } of stream) await send({ from, bytes: bytes.toString('base64') });
  const { exitCode, durationMs } = await stream.result;
  return { exitCode, durationMs };
}

import type { Socket } from 'node:net';
import { QmpilotError } from '@qmpilot/core';
import { requireRunning } from './state.js';
import { PROTOCOL, type Args, type Event, type Result, type Verb } from './verbs.js';
import { fromWireError, readMessages, sendMessage, type Message, type WireError } from './wire.js';

export interface CallOptions<V extends Verb> {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: Event<V>) => void | Promise<void>) | undefined;
  /** Called with the connection once the request is sent, to send more messages. */
  readonly onConnected?: ((socket: Socket) => void) | undefined;
}

/**
 * Calls the daemon of a named VM, on a connection of its own; closing the connection cancels the call.
 * @throws {NOT_FOUND} when there is no such VM, or it has ended
 * @throws {CLOSED} when the VM ends before it answers
 * @throws what the handler of the daemon throws
 */
export async function call<V extends Verb>(
  name: string,
  verb: V,
  args: Args<V>,
  options: CallOptions<V> = {},
): Promise<Result<V>> {
  const { signal } = options;
  const vm = await requireRunning(name);
  const { connectTo } = await import('./client-socket.js');
  const socket = await connectTo(vm.socket).catch((cause: unknown) => {
    throw new QmpilotError('CLOSED', `the VM ${name} is still starting, or is ending`, {
      cause,
      hint: 'check it with qmpilot ps',
    });
  });
  const leave = () => socket.destroy();
  signal?.addEventListener('abort', leave, { once: true });
  try {
    signal?.throwIfAborted();
    sendMessage(socket, { v: PROTOCOL, verb, args });
    options.onConnected?.(socket);
    for await (const message of readMessages(socket)) {
      if ('event' in message) await options.onEvent?.(message['event'] as Event<V>);
      else return answer<V>(message);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', leave);
    socket.destroy();
  }
  signal?.throwIfAborted();
  throw new QmpilotError('CLOSED', `the VM ${name} ended during ${verb}`, {
    hint: `qmpilot logs ${name} shows its console`,
  });
}

function answer<V extends Verb>(message: Message): Result<V> {
  if ('error' in message) throw fromWireError(message['error'] as WireError);
  return message['result'] as Result<V>;
}

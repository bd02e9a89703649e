import type { Socket } from 'node:net';
import { QmpilotError } from '@qmpilot/core';
import { connectTo } from './client-socket.js';
import { mustRun } from './state.js';
import { PROTOCOL, type Args, type Event, type Result, type Verb } from './verbs.js';
import { fromWireError, readMessages, sendMessage, type Message, type WireError } from './wire.js';

export interface CallOptions<V extends Verb> {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: Event<V>) => void | Promise<void>) | undefined;
  /** Called with the connection once the request is sent: to send more. */
  readonly onConnected?: ((socket: Socket) => void) | undefined;
}

/**
 * Asks the keeper of a named vm. One connection a call, so that commands at the same time never mix; leaving it cancels the call.
 * @throws {USAGE} when there is no such vm
 * @throws {CLOSED} when the vm ends before it has answered
 * @throws what the keeper's side threw
 */
export async function call<V extends Verb>(
  name: string,
  verb: V,
  args: Args<V>,
  options: CallOptions<V> = {},
): Promise<Result<V>> {
  const { signal } = options;
  const vm = await mustRun(name);
  const socket = await connectTo(vm.socket).catch((cause: unknown) => {
    throw new QmpilotError('CLOSED', `the vm ${name} does not take commands yet, or no more`, {
      cause,
      hint: 'qmpilot ps shows how it is',
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
  throw new QmpilotError('CLOSED', `the vm ${name} ended while ${verb} was under way`, {
    hint: `qmpilot logs ${name} shows its console`,
  });
}

function answer<V extends Verb>(message: Message): Result<V> {
  if ('error' in message) throw fromWireError(message['error'] as WireError);
  return message['result'] as Result<V>;
}

import { chmod } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { QmpilotError } from '@qmpilot/core';
import { PROTOCOL, type Args, type Event, type Result, type Verb } from './verbs.js';
import { readMessages, sendMessage, toWireError, type Message } from './wire.js';

/** A call, as its handler gets it. */
export interface Call<V extends Verb> {
  readonly args: Args<V>;
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal;
  /** Resolves when the client can take more events. */
  readonly send: (event: Event<V>) => Promise<void>;
  /** Registers a listener for further messages of the client. */
  readonly onMessage: (listener: (message: Message) => void) => void;
}

export type Handlers = { readonly [V in Verb]: (call: Call<V>) => Promise<Result<V>> };

/** Serves one VM on a unix socket that only its user can connect to. */
export async function serve(path: string, handlers: Handlers): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    void handle(socket, handlers);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  await chmod(path, 0o600);
  return server;
}

async function handle(socket: Socket, handlers: Handlers): Promise<void> {
  const left = new AbortController();
  socket.once('close', () => left.abort(new Error('the client left')));
  const listeners: ((message: Message) => void)[] = [];
  let begun = false;
  for await (const message of guarded(socket)) {
    if (!begun) {
      begun = true;
      void answer(socket, message, handlers, left.signal, listeners);
    } else for (const listener of listeners) listener(message);
  }
}

async function answer(
  socket: Socket,
  request: Message,
  handlers: Handlers,
  signal: AbortSignal,
  listeners: ((message: Message) => void)[],
): Promise<void> {
  const call = {
    args: request['args'],
    signal,
    send: async (event: unknown) => {
      if (!sendMessage(socket, { event })) await drained(socket);
    },
    onMessage: (listener: (message: Message) => void) => void listeners.push(listener),
  };
  try {
    const verb = String(request['verb']);
    if (request['v'] !== PROTOCOL || !Object.hasOwn(handlers, verb)) {
      throw new QmpilotError(
        'USAGE',
        `this VM was booted by another version of qmpilot, which does not support ${verb}`,
        {
          hint: 'use that version, or end the VM (kill its daemon, see qmpilot ps --json) and boot it again',
        },
      );
    }
    const handler = handlers[verb as Verb] as (call: unknown) => Promise<unknown>;
    sendMessage(socket, { result: (await handler(call)) ?? null });
  } catch (error) {
    sendMessage(socket, { error: toWireError(error) });
  }
  socket.end();
}

/** The messages of a client, which may disconnect at any moment. */
async function* guarded(socket: Socket): AsyncGenerator<Message> {
  try {
    yield* readMessages(socket);
  } catch {
    // It disconnected in the middle of a line.
  }
}

function drained(socket: Socket): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}

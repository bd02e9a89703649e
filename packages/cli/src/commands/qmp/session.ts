import { QmpilotError } from '@qmpilot/core';
import type { SocketAddress, UntypedQmpEvent } from '@qmpilot/core/qmp';
import type { Schema } from './completion.js';

export interface SessionOptions {
  readonly timeout?: number;
  readonly agent?: boolean;
  readonly tcp?: boolean;
  readonly oob?: boolean;
}

/** A QMP monitor or a guest agent. */
export interface Peer extends AsyncDisposable {
  readonly prompt: string;
  readonly title: string;
  run(command: string, args: object | undefined, signal?: AbortSignal): Promise<unknown>;
  schema(): Promise<Schema>;
  onEvent(listener: (event: UntypedQmpEvent) => void): void;
  readonly closed: Promise<Error | undefined>;
}

export async function openPeer(socket: string, options: SessionOptions, signal?: AbortSignal): Promise<Peer> {
  const address = toAddress(socket, options.tcp === true);
  const { connect, connectGuestAgent } = await import('@qmpilot/core/qmp');
  const wait = { signal, timeout: options.timeout };
  if (options.agent === true) {
    const agent = await connectGuestAgent(address, wait);
    return {
      prompt: '(agent) ',
      title: 'guest agent',
      run: (command, args, abort) => agent.executeUntyped(command, args, { ...wait, signal: abort }),
      schema: async () => {
        const { supported_commands: commands } = await agent.execute('guest-info');
        return commands.map(({ name }) => ({ 'meta-type': 'command', name, 'arg-type': '', 'ret-type': '' }));
      },
      onEvent: () => {},
      closed: new Promise(() => {}),
      [Symbol.asyncDispose]: () => agent.close(),
    };
  }
  const client = await connect(address, wait);
  const { major, minor, micro } = client.greeting.version;
  return {
    prompt: '(QEMU) ',
    title: `QEMU ${major}.${minor}.${micro}`,
    run: (command, args, abort) =>
      client.executeUntyped(command, args, { ...wait, signal: abort, outOfBand: options.oob }),
    schema: () => client.execute('query-qmp-schema'),
    onEvent: (listener) => void client.on(listener),
    closed: client.closed.then(() => client.closedReason),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

function toAddress(socket: string, tcp: boolean): SocketAddress {
  if (!tcp) return { path: socket };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(socket);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535)
    throw new QmpilotError('USAGE', `${socket} is not HOST:PORT`, {
      hint: 'for example 127.0.0.1:4444, or [::1]:4444',
    });
  return { host: match[1] ?? match[2] ?? '', port, allowTcp: true };
}

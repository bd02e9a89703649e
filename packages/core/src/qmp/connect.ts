import { createConnection, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isQmpilotError, QmpilotError } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/async/deadline.js';
import { retry } from '../util/async/retry.js';
import { monotonicMs } from '../util/time/clock.js';
import { parseDuration } from '../util/time/duration.js';
import { QmpClient, type StreamOptions } from './client.js';
import { DEFAULT_HANDSHAKE_TIMEOUT } from './protocol/timeouts.js';

/** Linux gives `sun_path` 108 bytes, the last of them a NUL: unix(7). */
export const MAX_SOCKET_PATH = 107;

/** Pause between two attempts to connect, in ms. */
const RETRY_MS = 20;

/** The address of a QMP server: the path of a unix socket, or a TCP port. */
export type SocketAddress =
  /** A unix socket: `-qmp unix:PATH,server=on,wait=off`. */
  | { readonly path: string }
  /** Anyone who reaches a TCP port of QMP owns the VM and the user that runs it: it must be allowed by name. */
  | { readonly host: string; readonly port: number; readonly allowTcp: true };

/** The target of `connect`: an address, or a stream that is open already. */
export type QmpAddress =
  | SocketAddress
  /** Any byte stream, such as an inherited socket pair. */
  | { readonly stream: Duplex };

export interface ConnectOptions extends StreamOptions {
  /** Try again while nothing listens there yet, until `timeout` (default false). */
  readonly retry?: boolean;
}

/**
 * Connects to a QMP socket and negotiates.
 * @param options `timeout` covers connecting and the handshake (default 10 s)
 * @throws {USAGE} for a path over 107 bytes, and for TCP without `allowTcp: true`
 * @throws {QMP_LINK} when nothing listens there, or what answers is not QMP
 * @throws {TIMEOUT} when QEMU does not greet in time
 * @throws {ABORTED}
 */
export async function connect(address: QmpAddress, options: ConnectOptions = {}): Promise<QmpClient> {
  if ('stream' in address) return QmpClient.fromStream(address.stream, options);
  const limit = parseDuration(options.timeout ?? DEFAULT_HANDSHAKE_TIMEOUT, 'timeout');
  const begun = monotonicMs();
  const remaining = () => Math.max(0, limit - (monotonicMs() - begun));
  const socket = await dial(address, { ...options, timeout: limit });
  return QmpClient.fromStream(socket, { ...options, timeout: remaining() }, (again) => dial(address, again));
}

export interface DialOptions extends WaitOptions {
  readonly retry?: boolean;
}

/** Opens the stream to a unix socket or TCP port. */
export async function dial(address: SocketAddress, options: DialOptions): Promise<Socket> {
  const target = checkAddress(address);
  const inner = new AbortController();
  return awaitWithin<Socket>(
    { awaited: `a connection to ${target}`, defaultTimeout: DEFAULT_HANDSHAKE_TIMEOUT },
    options,
    (resolve, reject) => {
      retry(() => open(address, target, inner.signal), {
        retries: options.retry ? Infinity : 0,
        delay: RETRY_MS,
        when: (error) => isQmpilotError(error, 'QMP_LINK'),
        signal: inner.signal,
      }).then(resolve, reject);
      return () => inner.abort();
    },
  );
}

function checkAddress(address: SocketAddress): string {
  if ('path' in address) {
    const bytes = Buffer.byteLength(address.path);
    if (bytes === 0 || address.path.includes('\0'))
      throw new QmpilotError('USAGE', 'the socket path is empty or contains a NUL');
    if (bytes > MAX_SOCKET_PATH) {
      throw new QmpilotError(
        'USAGE',
        `the socket path is ${bytes} bytes long; unix sockets take at most ${MAX_SOCKET_PATH}: ${address.path}`,
        {
          hint: 'use a shorter path, or a symbolic link to its folder',
        },
      );
    }
    return address.path;
  }
  const allowed: unknown = address.allowTcp;
  if (allowed !== true) {
    throw new QmpilotError('USAGE', `QMP over TCP (${address.host}:${address.port}) must be allowed`, {
      hint: 'anyone who can connect to that port controls the VM: use a unix socket, or pass allowTcp: true',
    });
  }
  return isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function open(address: SocketAddress, target: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      'path' in address
        ? createConnection({ path: address.path })
        : createConnection({ host: address.host, port: address.port, noDelay: true });
    const onAbort = () => socket.destroy();
    const onError = (cause: NodeJS.ErrnoException) => {
      signal.removeEventListener('abort', onAbort);
      reject(refusal(target, cause));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      signal.removeEventListener('abort', onAbort);
      // A failure before the client takes over shows as the destroyed stream it gets.
      socket.on('error', () => {});
      resolve(socket);
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

const HINTS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket: is QEMU running, with -qmp unix:PATH,server=on,wait=off?',
  ECONNREFUSED: 'nothing listens there: the QEMU that created this socket has ended, or this is not a socket',
  ENOTSOCK: 'this is not a socket',
  EACCES: 'this user may not use the socket: run as the user of QEMU',
};

function refusal(target: string, cause: NodeJS.ErrnoException): QmpilotError {
  const hint = HINTS[cause.code ?? ''];
  return new QmpilotError('QMP_LINK', `cannot connect to ${target}: ${cause.message}`, {
    cause,
    ...(hint && { hint }),
  });
}

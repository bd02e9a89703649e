import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { UnreadableLogError } from './unreadable.js';

const TICK_MS = 500;
const READ_BYTES = 1 << 20;

/**
 * The bytes of a log, unpacked, and `undefined` from time to time while none come.
 * @throws {UnreadableLogError} when it cannot be read
 */
export async function* readLog(name: string): AsyncGenerator<Uint8Array | undefined> {
  const input = await openLog(name);
  try {
    const { unpack } = await import('./unpack.js');
    yield* withTicks(unpack(input, name));
  } catch (error) {
    throw error instanceof UnreadableLogError ? error : unreadable(name, error);
  }
}

async function openLog(name: string): Promise<Readable> {
  if (name === '-') {
    if (process.stdin.isTTY) throw new UnreadableLogError('name a log file, or pipe a log in: dmesg | qmpilot scan');
    return process.stdin;
  }
  try {
    if ((await stat(name)).isDirectory()) throw new UnreadableLogError(`${name} is a directory; name the logs in it`);
  } catch (error) {
    throw error instanceof UnreadableLogError ? error : unreadable(name, error);
  }
  return createReadStream(name, { highWaterMark: READ_BYTES });
}

async function* withTicks(log: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | undefined> {
  const chunks = log[Symbol.asyncIterator]();
  try {
    let next = chunks.next();
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const tick = new Promise<undefined>((resolve) => {
        timer = setTimeout(resolve, TICK_MS, undefined);
      });
      const result = await Promise.race([next, tick]).finally(() => clearTimeout(timer));
      if (result === undefined) {
        yield undefined;
        continue;
      }
      if (result.done === true) return;
      yield result.value;
      next = chunks.next();
    }
  } finally {
    await chunks.return?.();
  }
}

function unreadable(name: string, error: unknown): UnreadableLogError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const reason =
    code === 'ENOENT'
      ? 'there is no such file'
      : code === 'EACCES'
        ? 'permission denied'
        : error instanceof Error
          ? error.message
          : String(error);
  return new UnreadableLogError(`cannot read ${name}: ${reason}`);
}

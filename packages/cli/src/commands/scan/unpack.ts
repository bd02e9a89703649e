import { spawn } from 'node:child_process';
import { PassThrough, pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { UnreadableLogError } from './unreadable.js';

/** A packed form of a log: how it begins, and what unpacks it. */
interface Packing {
  readonly name: string;
  readonly magic: readonly number[];
  /** A program of the system that unpacks standard input; gzip needs none. */
  readonly program?: string;
}

const PACKINGS: readonly Packing[] = [
  { name: 'gzip', magic: [0x1f, 0x8b] },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], program: 'zstd' },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], program: 'xz' },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], program: 'bzip2' },
];
const LONGEST_MAGIC = 6;
/** A log of any use is shorter; a decompression bomb is not. */
const MAX_UNPACKED = 4 * 2 ** 30;

/**
 * Returns the bytes of a log that may be packed by gzip, zstd, xz or bzip2. The unpacked size is limited.
 * @throws {UnreadableLogError} when it is too long, or the program that unpacks it is not there or fails
 */
export async function* unpack(input: Readable, name: string, limit = MAX_UNPACKED): AsyncGenerator<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  while (length < LONGEST_MAGIC) {
    const { done, value } = await chunks.next();
    if (done === true) break;
    const chunk = bytesOf(value);
    head.push(chunk);
    length += chunk.length;
    // A pipe may bring one byte at a time; most logs tell by the first that they are not packed.
    if (!PACKINGS.some(({ magic }) => magic[0] === head[0]?.[0])) break;
  }
  const start = Buffer.concat(head);
  const packing = PACKINGS.find(({ magic }) => magic.every((byte, index) => start[index] === byte));
  const all = rest(start, chunks);
  if (packing === undefined) yield* all;
  else yield* bounded(unpacker(packing, all, name), name, limit);
}

async function* rest(start: Uint8Array, chunks: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
  if (start.length > 0) yield start;
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield bytesOf(next.value);
}

async function* bounded(chunks: AsyncIterable<Uint8Array>, name: string, limit: number): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > limit)
      throw new UnreadableLogError(
        `${name} unpacks to more than ${Math.round(limit / 2 ** 20)} MiB; scan a part of it`,
      );
    yield chunk;
  }
}

async function* unpacker(
  packing: Packing,
  packed: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(packed, { objectMode: false });
  if (packing.program === undefined) {
    const output = new PassThrough();
    pipeline(source, createGunzip(), output, () => undefined);
    yield* readAll(output);
    return;
  }
  yield* byProgram(packing.program, source, name);
}

async function* byProgram(program: string, source: Readable, name: string): AsyncGenerator<Uint8Array> {
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(0, 300)));
  const ended = new Promise<string | undefined>((resolve) => {
    child.on('error', () => resolve(`unpack it first: ${program} is not installed`));
    child.on('close', (code) => resolve(code === 0 ? undefined : said.trim().split('\n')[0] || `${program} failed`));
  });
  pipeline(source, child.stdin, () => undefined);
  try {
    yield* readAll(child.stdout);
    const problem = await ended;
    if (problem !== undefined) throw new UnreadableLogError(`cannot unpack ${name}: ${problem}`);
  } finally {
    child.kill('SIGKILL');
  }
}

async function* readAll(stream: Readable): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) yield bytesOf(chunk);
}

function bytesOf(chunk: unknown): Uint8Array {
  return chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk));
}

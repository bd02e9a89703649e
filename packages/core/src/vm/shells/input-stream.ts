import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { QmpilotError } from '../../errors.js';
import type { ExecStream } from '../../shell/exec-stream.js';
import type { Shell } from '../../shell/shell.js';

/** Input of a command that comes while it runs. */
export type InputStream = AsyncIterable<Uint8Array | string>;

/** Bytes that are read ahead. */
const PIECE_BYTES = 4 << 20;
/** Input that is collected for a guest that has one shell only. */
const COLLECT_BYTES = 64 << 20;

export function isInputStream(input: unknown): input is InputStream {
  return typeof input === 'object' && input !== null && Symbol.asyncIterator in input;
}

/** Reads all of the input, for a guest in which no second shell could pass it on. @throws {USAGE} for more than 64 MiB */
export async function collectInput(input: InputStream, signal: AbortSignal | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of input) {
    signal?.throwIfAborted();
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length > COLLECT_BYTES) {
      throw new QmpilotError(
        'USAGE',
        `input: cannot pass on a stream of more than ${COLLECT_BYTES >> 20} MiB in a guest with one shell`,
        {
          hint: 'copy a file into the guest, and let the command read it',
        },
      );
    }
  }
  return Buffer.concat(chunks);
}

/**
 * Passes a stream on to the standard input of a command: another shell writes it to a FIFO of the guest, in pieces, as fast as the
 * command reads. A process holds the FIFO open between the pieces.
 */
export class InputFeed {
  /** The FIFO, from which the command has to read. */
  readonly path: string;
  readonly #shell: Shell;
  readonly #folder: string;
  readonly #end = new AbortController();

  private constructor(shell: Shell, folder: string) {
    this.#shell = shell;
    this.#folder = folder;
    this.path = `${folder}/input`;
  }

  /** @param shell is closed with the feed */
  static async open(shell: Shell, signal: AbortSignal | undefined): Promise<InputFeed> {
    const name = `qmpilot-input.${randomBytes(8).toString('hex')}`;
    try {
      const { stdout } = await shell.expectOk(
        `for d in /run /dev/shm /tmp; do mkdir -m 700 $d/${name} 2>/dev/null && break; done; cd $d/${name} && mkfifo -m 600 input && ` +
          `{ (sleep 2147483647 >input & echo $! >holder; wait) </dev/null >/dev/null 2>&1 & } && until [ -s holder ]; do sleep 0.05; done && pwd`,
        { signal },
      );
      const folder = stdout.trim();
      return new InputFeed(shell, folder);
    } catch (error) {
      shell.close();
      throw error;
    }
  }

  /** Passes `input` on until it ends, or the command does; a failure kills the command. */
  async run(input: InputStream, stream: ExecStream): Promise<void> {
    const { signal } = this.#end;
    const ended = stream.result.catch(() => {}).then(() => this.#end.abort());
    try {
      // What comes while a piece is written is the next piece.
      const ahead = new PassThrough({ highWaterMark: PIECE_BYTES });
      pipeline(input, ahead, { signal }).catch(() => {});
      for await (const piece of ahead as AsyncIterable<Buffer>) if (!(await this.#write(piece))) return;
      // Opens the FIFO once the command has done so: without input it would else wait for the end forever.
      await this.#shell.exec(`cd ${this.#folder} && : >input; kill "$(cat holder)"`, { signal });
    } catch (error) {
      if (!signal.aborted) stream.stop(error);
    } finally {
      await ended;
    }
  }

  /** Removes the FIFO, and closes the shell. */
  async close(): Promise<void> {
    this.#end.abort();
    const clean = `cd ${this.#folder} && kill "$(cat holder)"; rm -rf ${this.#folder}`;
    await this.#shell.exec(clean, { patience: 10_000 }).catch(() => {});
    this.#shell.close();
  }

  /** Returns whether the command read the piece. */
  async #write(piece: Buffer): Promise<boolean> {
    const { signal } = this.#end;
    const { exitCode } = await this.#shell.exec(`cat >${this.path}`, { input: piece, signal });
    return exitCode === 0;
  }
}

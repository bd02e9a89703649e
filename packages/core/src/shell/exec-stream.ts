import { isQmpilotError, QmpilotError } from '../errors.js';
import type { WaitOptions } from '../util/async/deadline.js';
import { deferred } from '../util/async/deferred.js';
import { abortError, withinLimit } from '../util/async/limit.js';
import { onAbort } from '../util/async/on-abort.js';
import { monotonicMs } from '../util/time/clock.js';
import { BoundedBuffer } from './bounded-buffer.js';
import { requireStarted } from './command-text.js';
import { DEFAULT_MAX_OUTPUT, type ExecOptions } from './exec-options.js';
import { abandoned, describeCommand, execResult, outputLimit, type ExecResult, type ShellKind } from './exec-result.js';

/** A piece of the output of a running command. */
export interface ExecChunk {
  readonly from: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

/** Bytes that may wait for the reader before the guest is made to wait. */
const QUEUE_LIMIT = 1 << 20;
/** The same for a guest that cannot be made to wait, such as one without perl: the command is killed then. */
const QUEUE_END = 64 << 20;
/** Memory that a piece takes beside its bytes. */
const PIECE_COST = 128;

/** A running command's output as it comes, and its end. Iterate it once; a slow reader slows the command down. */
export class ExecStream implements AsyncIterable<ExecChunk> {
  readonly command: string;
  readonly via: ShellKind;
  readonly #hold: (() => () => void) | undefined;
  readonly #result = deferred<ExecResult>();
  readonly #stopped = deferred<unknown>();
  readonly #began = monotonicMs();
  #queue: ExecChunk[] = [];
  #head = 0;
  #queued = 0;
  #wake = () => {};
  #release: (() => void) | undefined;
  #room = deferred<void>();
  #discard = false;
  #over: { readonly error?: unknown } | undefined;

  /** @internal @param hold stops the flow until the returned function is called */
  constructor(command: string, via: ShellKind, hold?: () => () => void) {
    this.command = command;
    this.via = via;
    this.#hold = hold;
    this.#room.resolve();
  }

  /** The command's end, without the output that was streamed. Rejects when it was killed or lost. */
  get result(): Promise<ExecResult> {
    return this.#result.promise;
  }

  /** Output in the order of arrival; ends with the command. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ExecChunk> {
    try {
      for (;;) {
        for (let chunk = this.#next(); chunk; chunk = this.#next()) {
          this.#queued -= chunk.bytes.length + PIECE_COST;
          if (this.#queued === 0) this.#letGo();
          yield chunk;
        }
        if (this.#over) {
          if ('error' in this.#over) throw this.#over.error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.discard();
      if (!this.#over) this.stop(new Error('the iteration was left'));
    }
  }

  /** Kills the command; `result` rejects with `reason`. */
  stop(reason: unknown): void {
    this.#stopped.resolve(reason);
  }

  /** @internal Resolves with the reason when the command must be killed. */
  get stopped(): Promise<unknown> {
    return this.#stopped.promise;
  }

  /** @internal Resolves when the reader has room for more. */
  get room(): Promise<void> {
    return this.#room.promise;
  }

  /** @internal */
  push(from: ExecChunk['from'], bytes: Buffer): void {
    if (this.#discard || this.#over || bytes.length === 0) return;
    this.#queue.push({ from, bytes });
    this.#queued += bytes.length + PIECE_COST;
    if (this.#queued > QUEUE_END) {
      this.stop(
        new QmpilotError(
          'OUTPUT_LIMIT',
          `${describeCommand(this.command)} wrote more than ${QUEUE_END} bytes that were not read yet, and was killed`,
          {
            hint: 'read faster, or write to a file: this guest cannot be made to wait',
          },
        ),
      );
      return this.discard();
    }
    if (this.#queued > QUEUE_LIMIT && !this.#release) {
      this.#room = deferred();
      this.#release = this.#hold?.() ?? (() => {});
    }
    this.#wake();
  }

  /** @internal Drops the output that has arrived and that will arrive. */
  discard(): void {
    this.#discard = true;
    this.#queue = [];
    this.#head = 0;
    this.#queued = 0;
    this.#letGo();
  }

  /** @internal */
  finish(exitCode: number, consoleLines?: readonly string[]): void {
    if (this.#over) return;
    this.#over = {};
    this.#result.resolve(
      execResult({
        command: this.command,
        via: this.via,
        exitCode,
        durationMs: monotonicMs() - this.#began,
        ...(consoleLines && { consoleLines }),
      }),
    );
    this.#letGo();
    this.#wake();
  }

  /** @internal Nothing more will come. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#over = { error };
    this.#result.reject(error);
    this.#letGo();
    this.#wake();
  }

  /** Not by `shift`, which moves all that is behind it. */
  #next(): ExecChunk | undefined {
    const chunk = this.#queue[this.#head];
    this.#head += 1;
    if (chunk && this.#head < this.#queue.length) return chunk;
    this.#queue = [];
    this.#head = 0;
    return chunk;
  }

  #letGo(): void {
    const release = this.#release;
    this.#release = undefined;
    this.#room.resolve();
    release?.();
  }
}

/**
 * Runs the stream's command by `run`, and stops it at the limits of the caller, which count from now. `failure` makes the error
 * that the caller sees.
 */
export function startStream(
  stream: ExecStream,
  { timeout, patience, signal }: WaitOptions,
  run: (signal: AbortSignal | undefined) => Promise<void>,
  failure: (error: unknown) => unknown = (error) => error,
): ExecStream {
  const awaited = `${describeCommand(stream.command)} in the guest`;
  let limitReached = false;
  void withinLimit({ awaited, timeout, patience, signal }, async (limit) => {
    const unsubscribe = onAbort(limit, () => {
      limitReached = true;
      stream.stop(abortError(awaited, limit));
    });
    try {
      await run(limit);
    } finally {
      unsubscribe();
    }
  }).catch((error: unknown) => stream.fail(limitReached ? error : failure(error)));
  return stream;
}

/** All of a stream as one result. @throws {OUTPUT_LIMIT} when an output is longer than `maxOutput`: the command is killed */
export async function collect(stream: ExecStream, options: ExecOptions): Promise<ExecResult> {
  const limit = options.maxOutput ?? DEFAULT_MAX_OUTPUT;
  const outputs = { stdout: new BoundedBuffer(), stderr: new BoundedBuffer() };
  const output = (from: ExecChunk['from']) => outputs[from].bytes();
  try {
    for await (const { from, bytes } of stream) {
      outputs[from].push(bytes);
      if (outputs[from].length > limit) throw outputLimit(stream.command, limit);
    }
    const { command, via, exitCode, durationMs, consoleLines } = await stream.result;
    const result = execResult({
      command,
      via,
      exitCode,
      durationMs,
      stdoutBytes: output('stdout'),
      stderrBytes: output('stderr'),
      ...(consoleLines && { consoleLines }),
    });
    return requireStarted(result, options);
  } catch (error) {
    // The reader has left: wait until the command is gone, so that the shell is free when this rejects.
    if (isQmpilotError(error, 'OUTPUT_LIMIT')) await stream.result.catch(() => {});
    throw abandoned(error, stream.command, output('stdout'), output('stderr'));
  }
}

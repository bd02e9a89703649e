import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../repro/run/attempt-queue.js';
import type { AttemptRecord, RunEvent } from '../../run-files/attempt-record.js';
import { deferred, type Deferred } from '../../util/async/deferred.js';
import { onAbort } from '../../util/async/on-abort.js';
import type { FromProcess, OpenRequest, ToProcess } from '../process/protocol.js';
import { fromSentError } from '../store/sent-error.js';

/** Time for the process to close its VMs. */
const CLOSE_GRACE_MS = 10_000;

export interface MadeAttempt {
  readonly record: AttemptRecord;
  /** Packed files; absent when they are in the shared directory. */
  readonly evidence?: Uint8Array;
}

export interface ProcessRequest {
  readonly program: string;
  readonly open: OpenRequest;
  readonly signal: AbortSignal;
  readonly tell: (slot: number, event: RunEvent) => void;
  /** Returns whether the attempt that asks is the one that keeps the dump. */
  readonly claimDump: () => Promise<boolean>;
}

/** Makes the attempts of one run. */
export interface Attempts {
  readonly forks: number;
  readonly guest: PreparedGuest;
  /** Fires when no more attempts can be made; the reason is an error. */
  readonly lost: AbortSignal;
  make(
    attempt: { readonly index: number; readonly seed: number; readonly slot: number; readonly folder: string },
    signal: AbortSignal,
  ): Promise<MadeAttempt>;
  close(): Promise<void>;
}

/**
 * Starts the process that controls the VMs of one run, so that whatever happens there never keeps the worker from renewing its locks.
 * Resolves when the guest is prepared.
 * @throws what loading the scenario, `boot` or `prepare` throws
 */
export async function startAttempts(request: ProcessRequest): Promise<Attempts> {
  const { QMPILOT_QUEUE_KEY: _, QMPILOT_QUEUE: __, ...env } = process.env;
  const child = fork(request.program, [], {
    env,
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const attempts = new ProcessAttempts(child, request);
  try {
    await attempts.ready;
    return attempts;
  } catch (error) {
    await attempts.close();
    throw error;
  }
}

class ProcessAttempts implements Attempts {
  readonly #child: ChildProcess;
  readonly #request: ProcessRequest;
  readonly #pending = new Map<number, Deferred<MadeAttempt>>();
  readonly #opened = deferred<void>();
  readonly #lost = new AbortController();
  readonly #exited: Promise<unknown>;
  readonly ready: Promise<void>;
  #last = 0;
  #forks = 0;
  #guest: PreparedGuest | undefined;

  constructor(child: ChildProcess, request: ProcessRequest) {
    this.#child = child;
    this.#request = request;
    this.#exited = once(child, 'exit').catch(() => {});
    child.on('error', (error) =>
      this.#lose(new QmpilotError('IO', `cannot start ${request.program}: ${error.message}`)),
    );
    child.on('exit', (code, signal) =>
      this.#lose(
        new QmpilotError('QEMU_EXITED', `the process that controls the VMs ended with ${signal ?? `status ${code}`}`, {
          hint: 'dmesg shows whether the out-of-memory killer ended it',
        }),
      ),
    );
    child.on('message', (message: FromProcess) => void this.#take(message));
    const undo = onAbort(request.signal, () => this.#lose(request.signal.reason));
    this.ready = this.#opened.promise.finally(undo);
    this.#send({ type: 'open', request: request.open });
  }

  get forks(): number {
    return this.#forks;
  }

  get guest(): PreparedGuest {
    if (this.#guest) return this.#guest;
    throw new QmpilotError('INTERNAL', 'the guest is not prepared');
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async make(
    attempt: { readonly index: number; readonly seed: number; readonly slot: number; readonly folder: string },
    signal: AbortSignal,
  ): Promise<MadeAttempt> {
    this.#lost.signal.throwIfAborted();
    this.#last += 1;
    const id = this.#last;
    const made = deferred<MadeAttempt>();
    this.#pending.set(id, made);
    const undo = onAbort(signal, () => this.#send({ type: 'cancel', id }));
    this.#send({ type: 'attempt', id, ...attempt });
    try {
      return await made.promise;
    } finally {
      undo();
      this.#pending.delete(id);
    }
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#send({ type: 'close' });
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_GRACE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  async #take(message: FromProcess): Promise<void> {
    switch (message.type) {
      case 'ready':
        this.#forks = message.forks;
        this.#guest = message.guest;
        this.#opened.resolve();
        return;
      case 'event':
        this.#request.tell(message.slot, message.event);
        return;
      case 'made':
        this.#pending.get(message.id)?.resolve(message);
        return;
      case 'not-made':
        this.#pending.get(message.id)?.reject(fromSentError(message.error));
        return;
      case 'claim': {
        const mine = await this.#request.claimDump().catch(() => false);
        this.#send({ type: 'claimed', id: message.id, mine });
        return;
      }
      case 'failed':
        this.#lose(fromSentError(message.error));
    }
  }

  #lose(error: unknown): void {
    this.#opened.reject(error);
    for (const one of this.#pending.values()) one.reject(error);
    this.#lost.abort(error);
  }

  #send(message: ToProcess): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }
}

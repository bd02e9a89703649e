import { mkdtemp, mkdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { QmpilotError } from '../../errors.js';
import { forkOfIndex } from '../../repro/when/curve.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import { onAbort } from '../../util/async/on-abort.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { unpackBundle } from '../store/bundle.js';
import type { Connection } from '../store/connection.js';
import { jobBody, type AttemptJob, type Manifest } from '../store/manifest.js';
import { encodeMessage, type Message } from '../store/messages.js';
import { PREFIX, type SessionNames } from '../store/names.js';
import type { QueueKey } from '../store/seal.js';
import { toSentError } from '../store/sent-error.js';
import { startAttempts, type Attempts } from './attempt-process.js';
import type { WorkerOptions } from './options.js';

/** Between two looks whether the run still goes on, and how many of them in a row have to say no: Redis may have been restarted. */
const POLL_MS = 2000;
const POLLS = 3;
/** How often an attempt is given to another worker when its workers die. */
const MAX_STALLED = 10;
/** Messages for a coordinator that has ended. */
const MESSAGES_TTL_MS = 3_600_000;
const CLOSE_GRACE_MS = 15_000;
const MAX_LIVE_BYTES = 16_384;

export interface ServeRequest {
  readonly manifest: Manifest;
  readonly names: SessionNames;
  readonly key: QueueKey;
  readonly connection: Connection;
  readonly worker: { readonly worker: string; readonly host: string };
  readonly options: WorkerOptions;
  readonly signal: AbortSignal;
  /** Called when the guest is prepared. */
  readonly onForks: (forks: number) => void;
}

/** Makes attempts of a run until it ends, this worker is stopped, or it cannot make any more. */
export async function serveRun(request: ServeRequest): Promise<{ readonly refused: boolean; readonly reason: string }> {
  const served = new ServedRun(request);
  try {
    return { refused: false, reason: await served.serve() };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    await served.send({ type: 'refused', ...request.worker, error: toSentError(error) });
    return { refused: true, reason };
  } finally {
    await served.close();
  }
}

class ServedRun {
  readonly #request: ServeRequest;
  /** Fires when no more attempts are wanted; the reason is a text. */
  readonly #end = new AbortController();
  readonly #failed = new AbortController();
  readonly #undo: (() => void)[] = [];
  #folder: string | undefined;
  #shared: string | undefined;
  /** Nobody takes what is in the shared directory. */
  #isAbandoned = false;
  #attempts: Attempts | undefined;
  #count = 0;

  constructor(request: ServeRequest) {
    this.#request = request;
  }

  /** Returns the reason why it ended. @throws when this worker cannot serve the run */
  async serve(): Promise<string> {
    await this.#watchEnd();
    try {
      this.#attempts = await this.#open();
      await this.#checkGuest(this.#attempts);
      await this.#work(this.#attempts);
    } catch (error) {
      if (!this.#end.signal.aborted) throw error;
    }
    return String(this.#end.signal.reason);
  }

  /** Sends a message to the coordinator. One that has ended does not read it. */
  async send(message: Message, bytes?: Buffer): Promise<void> {
    const { connection, key, manifest, names } = this.#request;
    const sealed = key.seal('message', manifest.session, encodeMessage(message, bytes));
    await connection.redis.multi().rpush(names.messages, sealed).pexpire(names.messages, MESSAGES_TTL_MS).exec();
  }

  async close(): Promise<void> {
    for (const step of this.#undo.splice(0)) step();
    await this.#attempts?.close();
    if (this.#folder !== undefined) await removeDirectory(this.#folder);
    if (this.#isAbandoned && this.#shared !== undefined) await removeDirectory(this.#shared);
  }

  async #watchEnd(): Promise<void> {
    const { connection, names, signal } = this.#request;
    const end = (reason: string) => this.#end.abort(reason);
    const subscriber = connection.another();
    subscriber.on('message', () => end('the run has ended'));
    await subscriber.subscribe(names.end);
    let missing = 0;
    const timer = setInterval(() => {
      connection.redis.exists(names.manifest).then(
        (there) => {
          missing = there === 0 ? missing + 1 : 0;
          if (missing < POLLS) return;
          this.#isAbandoned = true;
          end('the process that started the run is gone');
        },
        () => {},
      );
    }, POLL_MS);
    this.#undo.push(
      () => subscriber.disconnect(),
      () => clearInterval(timer),
      onAbort(signal, () => end('stopped')),
    );
    if (signal.aborted) end('stopped');
  }

  async #open(): Promise<Attempts> {
    const { manifest, names, connection, options } = this.#request;
    const bundle = await connection.redis.getBuffer(names.bundle);
    if (bundle === null) throw new QmpilotError('IO', 'the scenario is not in the queue any more');
    this.#folder = await mkdtemp(join(tmpdir(), 'qmpilot-worker-'));
    const scenario = join(this.#folder, 'scenario');
    await mkdir(scenario, { mode: 0o700 });
    await unpackBundle(bundle, manifest.bundle, scenario);
    this.#shared = await this.#sharedFolder();
    const start = options.start ?? startAttempts;
    return start({
      program: options.program,
      open: {
        file: join(scenario, manifest.file),
        guest: manifest.guest,
        kernel: manifest.kernel,
        build: manifest.build,
        checkpoints: manifest.checkpoints,
        source: manifest.source,
        fresh: manifest.fresh,
        timeoutMs: manifest.timeoutMs,
        forks: options.forks,
        scratch: this.#folder,
        shared: this.#shared,
      },
      signal: this.#end.signal,
      tell: (slot, event) => this.#tell(slot, event),
      claimDump: async () =>
        manifest.dump && this.#shared !== undefined && (await connection.redis.setnx(names.dump, '1')) === 1,
    });
  }

  /** The folder of this run in the directory that all machines share. @throws {USAGE} when this machine does not */
  async #sharedFolder(): Promise<string | undefined> {
    const { manifest, options } = this.#request;
    if (manifest.evidence === undefined) return undefined;
    const folder = join(options.evidence ?? manifest.evidence, `qmpilot-${manifest.session}`);
    const info = await stat(folder).catch(() => undefined);
    if (info?.isDirectory() === true) return folder;
    throw new QmpilotError('USAGE', `cannot find ${folder}, the folder for evidence of this run`, {
      hint: 'mount the directory of --evidence on this machine, or name the path that it has here by qmpilot worker --evidence DIR',
    });
  }

  /** All attempts of a run are made on the same guest. */
  async #checkGuest({ guest }: Attempts): Promise<void> {
    const { manifest, names, connection, worker } = this.#request;
    const { name, key } = guest.facts.guest;
    await connection.redis.set(names.guest, key, 'PX', MESSAGES_TTL_MS, 'NX');
    const first = manifest.guestKey ?? (await connection.redis.get(names.guest)) ?? key;
    if (first !== key)
      throw new QmpilotError('USAGE', `the guest ${name} on this worker is not the one that this run began with`, {
        hint: 'build it again from the same packages, files and versions, or stop this worker',
      });
    await this.send({ type: 'prepared', ...worker, ...guest });
  }

  async #work(attempts: Attempts): Promise<void> {
    const { manifest, names, connection, worker, onForks } = this.#request;
    const { leaseMs } = manifest;
    const slots = Array.from({ length: attempts.forks }, (_, at) => attempts.forks - at);
    onForks(attempts.forks);
    const bull = new connection.bull.Worker(
      names.queue,
      async (job: Job, token?: string) => {
        const slot = slots.pop() ?? 0;
        try {
          await this.#attempt(attempts, job, slot, token);
        } finally {
          slots.push(slot);
        }
      },
      {
        connection: connection.redis,
        prefix: PREFIX,
        name: worker.worker,
        concurrency: attempts.forks,
        lockDuration: leaseMs,
        stalledInterval: Math.ceil(leaseMs / 2),
        maxStalledCount: MAX_STALLED,
        runRetryDelay: 1000,
        skipVersionCheck: true,
      },
    );
    // Lost connections and locks: another worker makes the attempt.
    bull.on('error', () => {});
    const ended = new Promise<void>((resolve) => {
      for (const signal of [this.#end.signal, this.#failed.signal, attempts.lost])
        if (signal.aborted) resolve();
        else this.#undo.push(onAbort(signal, resolve));
    });
    await ended;
    const error: unknown = this.#failed.signal.aborted ? this.#failed.signal.reason : attempts.lost.reason;
    // Attempts that are given back are so before the worker is closed.
    await Promise.race([bull.close(), sleep(CLOSE_GRACE_MS)]).catch(() => {});
    void bull.close(true).catch(() => {});
    if (!this.#end.signal.aborted) throw error;
  }

  async #attempt(attempts: Attempts, job: Job, slot: number, token: string | undefined): Promise<void> {
    const { manifest, key, connection, worker, options } = this.#request;
    const data: Partial<AttemptJob> = job.data;
    const { index = 0, seed = 0, sealed = '' } = data;
    const signed = key.open('attempt', manifest.session, Buffer.from(sealed, 'base64'));
    if (signed?.equals(jobBody({ index, seed })) !== true) {
      options.onEvent?.({
        type: 'progress',
        message: `refused ${job.id}: it is not signed with the key of this worker`,
      });
      throw new connection.bull.UnrecoverableError('not signed');
    }
    try {
      this.#tell(slot, { type: 'attempt-started', index, fork: slot });
      this.#count += 1;
      const folder = `${index}-${worker.worker.slice(0, 8)}-${this.#count}`;
      const { record, evidence } = await attempts.make({ index, seed, slot, folder }, this.#end.signal);
      const result = { type: 'result', ...worker, slot, record, ...(!evidence && { folder }) } as const;
      await this.send(result, evidence && Buffer.from(evidence.buffer, evidence.byteOffset, evidence.byteLength));
      const { checkpoint, ordinal } = forkOfIndex(index);
      const name = manifest.checkpoints ? { index: ordinal + 1, checkpoint } : { index };
      options.onEvent?.({ type: 'attempt', ...name, outcome: record.outcome, ms: record.ms });
    } catch (error) {
      if (!this.#end.signal.aborted) this.#failed.abort(error);
      await job.moveToWait(token);
      throw new connection.bull.WaitingError();
    }
  }

  /** Tells the display of the run; nothing depends on it. */
  #tell(slot: number, event: RunEvent): void {
    const { connection, key, manifest, names, worker, options } = this.#request;
    if (event.type === 'progress') options.onEvent?.({ type: 'progress', message: event.message });
    if (connection.redis.status !== 'ready') return;
    const body = encodeMessage({ type: 'event', ...worker, slot, event });
    if (body.length <= MAX_LIVE_BYTES)
      connection.redis.publish(names.live, key.seal('live', manifest.session, body)).catch(() => {});
  }
}

import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { QmpilotError } from '../../errors.js';
import type { QueuedAttempts } from '../../repro/run/attempt-queue.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { onAbort } from '../../util/async/on-abort.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { monotonicMs, wallTime } from '../../util/time/clock.js';
import type { Bundle } from '../store/bundle.js';
import type { Connection } from '../store/connection.js';
import { copyEvidence, isEvidenceFolder, unpackEvidence } from '../store/evidence.js';
import { encodeManifest, type Manifest } from '../store/manifest.js';
import { decodeMessage, type Message, type ResultMessage } from '../store/messages.js';
import { ownerName, runsName, sessionNames, type SessionNames } from '../store/names.js';
import type { QueueKey } from '../store/seal.js';
import { JobWindow } from './job-window.js';
import { WorkerWatch } from './worker-watch.js';

/** Workers stop when the coordinator has not been there for this time. */
const TTL_MS = 20_000;
const BEAT_MS = 4000;
const SWEEP_MS = 2000;
/** Longest wait for a message, in seconds. */
const RECEIVE_S = 1;
/** Messages that are taken at once. */
const BATCH = 32;
const CLEANUP_MS = 5000;

export interface CoordinatorParts {
  readonly attempts: QueuedAttempts;
  readonly connection: Connection;
  readonly key: QueueKey;
  readonly realm: string;
  readonly manifest: Manifest;
  readonly bundle: Bundle;
}

/** Adds the attempts of one session of a run to the queue, and takes their results. */
export class Coordinator {
  readonly #parts: CoordinatorParts;
  readonly #names: SessionNames;
  readonly #owner: string;
  readonly #ownerValue: string;
  readonly #jobs: JobWindow;
  readonly #workers: WorkerWatch;
  readonly #blocking;
  readonly #live;
  /** Folder of the shared directory. */
  readonly #shared: string | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(parts: CoordinatorParts) {
    const { attempts, connection, key, realm, manifest } = parts;
    this.#parts = parts;
    this.#names = sessionNames(realm, manifest.session);
    this.#owner = ownerName(realm, attempts.run);
    this.#ownerValue = JSON.stringify({ session: manifest.session, host: hostname(), pid: process.pid });
    this.#jobs = new JobWindow({ attempts, connection, key, session: manifest.session, names: this.#names });
    this.#workers = new WorkerWatch({ attempts, connection, keyId: key.id, session: manifest.session });
    this.#blocking = connection.another();
    this.#live = connection.another();
    this.#shared = manifest.evidence === undefined ? undefined : join(manifest.evidence, `qmpilot-${manifest.session}`);
  }

  /** @returns whether all attempts were made; false when the run is to stop */
  async run(): Promise<boolean> {
    const { signal } = this.#parts.attempts;
    await this.#claim();
    const timer = setInterval(() => void this.#beat().catch((error: unknown) => this.#fail(error)), BEAT_MS);
    try {
      await this.#publish();
      await this.#listen();
      await this.#beat();
      for (let nextSweep = monotonicMs() + SWEEP_MS; ;) {
        await this.#jobs.fill(this.#workers.forks);
        if (this.#jobs.isDone) return true;
        if (!(await this.#take(await this.#receive(RECEIVE_S)))) return false;
        signal?.throwIfAborted();
        if (this.#failure) throw this.#failure.error;
        if (monotonicMs() < nextSweep) continue;
        if (!(await this.#sweep())) return false;
        nextSweep = monotonicMs() + SWEEP_MS;
      }
    } finally {
      clearInterval(timer);
      await Promise.race([this.#cleanUp(), sleep(CLEANUP_MS)]);
    }
  }

  /** @throws {ALREADY_EXISTS} when another process continues the same run */
  async #claim(): Promise<void> {
    const { redis } = this.#parts.connection;
    if ((await redis.set(this.#owner, this.#ownerValue, 'PX', TTL_MS, 'NX')) === 'OK') return;
    const owner = (await redis.get(this.#owner)) ?? '';
    const [, host = 'another host', pid = '?'] = /"host":"([^"]*)","pid":(\d+)/.exec(owner) ?? [];
    throw new QmpilotError(
      'ALREADY_EXISTS',
      `the run ${this.#parts.manifest.name} is in progress on this queue already: process ${pid} on ${host} coordinates it`,
      {
        hint: `wait for it, or end it and try again ${TTL_MS / 1000} s later`,
      },
    );
  }

  /** Writes what workers need. */
  async #publish(): Promise<void> {
    const { connection, realm, manifest, bundle, key } = this.#parts;
    if (this.#shared !== undefined)
      try {
        await mkdir(this.#shared, { recursive: true, mode: 0o700 });
      } catch (cause) {
        throw new QmpilotError('USAGE', `cannot create ${this.#shared}`, {
          cause,
          hint: 'name a directory by --evidence that can be written',
        });
      }
    const sealed = key.seal('run', manifest.session, encodeManifest(manifest));
    await connection.redis
      .multi()
      .set(this.#names.bundle, bundle.bytes, 'PX', 2 * TTL_MS)
      .set(this.#names.manifest, sealed, 'PX', TTL_MS)
      .zadd(runsName(realm), 'NX', Date.now(), manifest.session)
      .exec();
  }

  /** Says that the run goes on. What a restart of Redis has lost is written again. */
  async #beat(): Promise<void> {
    const { redis } = this.#parts.connection;
    const owner = await redis.get(this.#owner);
    if (owner !== null && owner !== this.#ownerValue)
      throw new QmpilotError('ALREADY_EXISTS', 'another process has continued this run', {
        hint: 'this process was not heard of for too long; the other one goes on',
      });
    await redis.set(this.#owner, this.#ownerValue, 'PX', TTL_MS);
    await this.#publish();
    await this.#workers.look();
  }

  /** Events for the display. */
  async #listen(): Promise<void> {
    const { key, manifest, attempts } = this.#parts;
    this.#live.on('messageBuffer', (_channel: Buffer, sealed: Buffer) => {
      const body = key.open('live', manifest.session, sealed);
      if (!body) return;
      try {
        const { message } = decodeMessage(body);
        if (message.type !== 'event') return;
        const { event, worker, slot, host } = message;
        if (event.type === 'progress') {
          if (!this.#workers.isPrepared) attempts.tell({ type: 'progress', message: `${host}: ${event.message}` });
        } else if ('index' in event && this.#jobs.has(event.index))
          attempts.tell(
            event.type === 'attempt-started' ? { ...event, fork: this.#workers.forkOf(worker, slot) } : event,
          );
      } catch (error) {
        this.#fail(error);
      }
    });
    await this.#live.subscribe(this.#names.live);
  }

  /** The next messages; none when there is none within the time. */
  async #receive(seconds: number): Promise<readonly Buffer[]> {
    const { attempts, connection } = this.#parts;
    let undo = () => {};
    const aborted = new Promise<null>((resolve) => (undo = onAbort(attempts.signal, () => resolve(null))));
    try {
      const popped = this.#blocking.blpopBuffer(this.#names.messages, seconds);
      popped.catch(() => {});
      const first = await Promise.race([popped, aborted]);
      if (!first) return [];
      const more = await connection.redis.lpopBuffer(this.#names.messages, BATCH);
      return [first[1], ...(more ?? [])];
    } finally {
      undo();
    }
  }

  /** @returns false when the run is to stop */
  async #take(messages: readonly Buffer[]): Promise<boolean> {
    for (const sealed of messages) {
      const { message, bytes } = this.#open(sealed);
      if (message.type === 'result') {
        if (!(await this.#takeResult(message, bytes))) return false;
      } else if (message.type === 'prepared') await this.#workers.takePrepared(message);
      else if (message.type === 'refused') await this.#workers.takeRefusal(message);
    }
    return true;
  }

  #open(sealed: Buffer): { readonly message: Message; readonly bytes: Buffer } {
    const body = this.#parts.key.open('message', this.#parts.manifest.session, sealed);
    if (body) return decodeMessage(body);
    throw new QmpilotError('USAGE', 'a result in the queue is not signed with the key of this run', {
      hint: 'somebody else writes to this Redis: give it a password, and start the run again with another QMPILOT_QUEUE_KEY; --resume keeps the finished attempts',
    });
  }

  /** A result that came before, or that nobody waits for, is dropped. */
  async #takeResult({ record, worker, slot, folder }: ResultMessage, bytes: Buffer): Promise<boolean> {
    const from =
      folder !== undefined && this.#shared !== undefined && isEvidenceFolder(folder)
        ? join(this.#shared, folder)
        : undefined;
    let goesOn = true;
    if (this.#jobs.finish(record.index)) {
      const { dump, ...rest } = record;
      goesOn = await this.#parts.attempts.accept(
        {
          ...rest,
          fork: this.#workers.forkOf(worker, slot),
          ...(dump !== undefined && { dump: `attempts/${String(record.index).padStart(4, '0')}/memory.elf` }),
        },
        (target) => (from === undefined ? unpackEvidence(bytes, target) : copyEvidence(from, target)),
      );
    }
    if (from !== undefined) await removeDirectory(from);
    return goesOn;
  }

  /** Adds jobs that Redis has lost again, and takes those that BullMQ gave up. @returns false when the run is to stop */
  async #sweep(): Promise<boolean> {
    const missing = await this.#jobs.findMissing();
    // A job is removed after its result was sent.
    if (!(await this.#take(await this.#drain()))) return false;
    await this.#jobs.addAgain(missing);
    for (const { index, seed } of await this.#jobs.takeFailed()) {
      const record: AttemptRecord = {
        v: 1,
        type: 'attempt',
        index,
        outcome: 'inconclusive',
        reason: 'the workers that made this attempt were lost, again and again',
        startedAt: wallTime(),
        ms: 0,
        restoreMs: 0,
        seed,
        findings: [],
      };
      if (!(await this.#parts.attempts.accept(record, async () => {}))) return false;
    }
    return true;
  }

  async #drain(): Promise<readonly Buffer[]> {
    return (await this.#parts.connection.redis.lpopBuffer(this.#names.messages, this.#jobs.size + BATCH)) ?? [];
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  async #cleanUp(): Promise<void> {
    const { connection, realm, manifest } = this.#parts;
    const { bundle, manifest: about, messages, guest, dump, end } = this.#names;
    try {
      await connection.redis.multi().del(about).publish(end, '').zrem(runsName(realm), manifest.session).exec();
      if ((await connection.redis.get(this.#owner)) === this.#ownerValue) await connection.redis.del(this.#owner);
      await this.#jobs.remove();
      await connection.redis.del(bundle, messages, guest, dump);
      if (this.#shared !== undefined) await removeDirectory(this.#shared);
    } catch {
      // Without Redis, workers find out by themselves; what is left there is removed by the next worker.
    } finally {
      this.#blocking.disconnect();
      this.#live.disconnect();
    }
  }
}

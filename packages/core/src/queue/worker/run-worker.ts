import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ownVersion } from '../../repro/run/environment.js';
import { connect, type Connection } from '../store/connection.js';
import { decodeManifest, type Manifest } from '../store/manifest.js';
import { PREFIX, realmOf, runsName, sessionNames } from '../store/names.js';
import { announce, ANNOUNCE_MS, withdraw } from '../store/registry.js';
import { QueueKey } from '../store/seal.js';
import { checkWorkerOptions, type WorkerOptions } from './options.js';
import { serveRun } from './serve-run.js';

/** Between two looks for a run. */
const IDLE_MS = 500;

/**
 * Makes attempts of the runs in a queue, one run at a time, until `signal` fires. It takes only runs of its own version that are signed
 * with its key. A run that it cannot serve is left to other workers.
 * @throws {USAGE} for invalid options, without a key, or when Redis refuses the password
 * @throws {IO} when there is no Redis
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  checkWorkerOptions(options);
  const key = new QueueKey(options.key ?? process.env['QMPILOT_QUEUE_KEY']);
  const tell = options.onEvent ?? (() => {});
  const connection = await connect(options.url, (message) => tell({ type: 'progress', message }));
  const worker = new QueueWorker(options, key, connection);
  try {
    await worker.run();
  } finally {
    connection.close();
  }
}

class QueueWorker {
  readonly #options: WorkerOptions;
  readonly #key: QueueKey;
  readonly #connection: Connection;
  readonly #realm: string;
  readonly #id = randomUUID();
  readonly #host = hostname();
  readonly #signal: AbortSignal;
  /** Sessions that it cannot or must not serve. */
  readonly #refused = new Set<string>();
  #busy: { readonly session: string; readonly forks: number } | undefined;

  constructor(options: WorkerOptions, key: QueueKey, connection: Connection) {
    this.#options = options;
    this.#key = key;
    this.#connection = connection;
    this.#realm = realmOf(ownVersion(), key.id);
    this.#signal = options.signal ?? new AbortController().signal;
  }

  async run(): Promise<void> {
    await this.#announce();
    const timer = setInterval(() => void this.#announce().catch(() => {}), ANNOUNCE_MS);
    this.#tell('waiting for runs');
    try {
      while (!this.#signal.aborted) {
        const found = await this.#findRun();
        if (found) await this.#serve(found);
        else await sleep(IDLE_MS, undefined, { signal: this.#signal }).catch(() => {});
      }
    } finally {
      clearInterval(timer);
      await Promise.race([withdraw(this.#connection.redis, this.#id), sleep(1000)]).catch(() => {});
    }
  }

  /** The oldest run that it has not refused. */
  async #findRun(): Promise<Manifest | undefined> {
    const { redis } = this.#connection;
    for (const session of await redis.zrange(runsName(this.#realm), '0', '-1')) {
      if (this.#refused.has(session)) continue;
      const sealed = await redis.getBuffer(sessionNames(this.#realm, session).manifest);
      if (sealed === null) await this.#remove(session);
      else {
        const body = this.#key.open('run', session, sealed);
        const manifest = body && readManifest(body, session);
        if (manifest) return manifest;
        this.#refused.add(session);
        this.#tell(`refused the run ${session}: it is not signed with the key of this worker`);
      }
    }
    return undefined;
  }

  async #serve(manifest: Manifest): Promise<void> {
    const { name, session } = manifest;
    const outcome = await serveRun({
      manifest,
      names: sessionNames(this.#realm, session),
      key: this.#key,
      connection: this.#connection,
      worker: { worker: this.#id, host: this.#host },
      options: this.#options,
      signal: this.#signal,
      onForks: (forks) => {
        this.#busy = { session, forks };
        this.#options.onEvent?.({ type: 'run', name, forks });
        void this.#announce().catch(() => {});
      },
    });
    this.#busy = undefined;
    if (outcome.refused) this.#refused.add(session);
    this.#options.onEvent?.({ type: 'end', name, reason: outcome.reason });
    if (!this.#signal.aborted) await this.#announce();
  }

  /** Removes what a coordinator left that was killed. */
  async #remove(session: string): Promise<void> {
    const { redis, bull } = this.#connection;
    const names = sessionNames(this.#realm, session);
    const queue = new bull.Queue(names.queue, { connection: redis, prefix: PREFIX, skipVersionCheck: true });
    queue.on('error', () => {});
    await queue.obliterate({ force: true }).catch(() => {});
    await queue.close();
    await redis.del(names.bundle, names.messages, names.guest, names.dump);
    await redis.zrem(runsName(this.#realm), session);
  }

  async #announce(): Promise<void> {
    await announce(this.#connection.redis, this.#id, {
      host: this.#host,
      pid: process.pid,
      version: ownVersion(),
      key: this.#key.id,
      forks: this.#busy?.forks ?? 0,
      ...(this.#busy && { session: this.#busy.session }),
    });
  }

  #tell(message: string): void {
    this.#options.onEvent?.({ type: 'progress', message });
  }
}

function readManifest(body: Buffer, session: string): Manifest | undefined {
  try {
    const manifest = decodeManifest(body);
    return manifest.session === session ? manifest : undefined;
  } catch {
    return undefined;
  }
}

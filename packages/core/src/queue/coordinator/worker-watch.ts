import { QmpilotError } from '../../errors.js';
import type { QueuedAttempts } from '../../repro/run/attempt-queue.js';
import { ownVersion } from '../../repro/run/environment.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Connection } from '../store/connection.js';
import type { Message } from '../store/messages.js';
import { listWorkers, type WorkerEntry } from '../store/registry.js';
import { fromSentError } from '../store/sent-error.js';

/** Time for workers of this version and key to appear, when only others are there. */
const PATIENCE_MS = 8000;

interface WatchParts {
  readonly attempts: QueuedAttempts;
  readonly connection: Connection;
  readonly keyId: string;
  readonly session: string;
}

/** The workers of a run: how many attempts they make at once, and whether any can. */
export class WorkerWatch {
  readonly #parts: WatchParts;
  readonly #begun = monotonicMs();
  /** Numbers of forks over all workers. */
  readonly #forkNumbers = new Map<string, number>();
  readonly #refusals = new Map<string, QmpilotError>();
  #first: Extract<Message, { type: 'prepared' }> | undefined;
  #said = '';
  forks = 0;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** Whether any worker has prepared its guest. */
  get isPrepared(): boolean {
    return this.#first !== undefined;
  }

  forkOf(worker: string, slot: number): number {
    const name = `${worker} ${slot}`;
    const number = this.#forkNumbers.get(name) ?? this.#forkNumbers.size + 1;
    this.#forkNumbers.set(name, number);
    return number;
  }

  /** Looks which workers are there. @throws {USAGE} when none of them can make attempts of this run */
  async look(): Promise<void> {
    const { attempts, keyId, session, connection } = this.#parts;
    const all = await listWorkers(connection.redis);
    const able = [...all].filter(([, { version, key }]) => version === ownVersion() && key === keyId);
    if (able.length === 0) this.#complain([...all.values()]);
    else this.#throwIfAllRefused(able.map(([id]) => id));
    const ours = able.filter(([, entry]) => entry.session === session);
    const forks = ours.reduce((sum, [, entry]) => sum + entry.forks, 0);
    if (forks === this.forks) return;
    this.forks = forks;
    if (forks > 0) await attempts.onForks(forks, `${ours.length} ${ours.length === 1 ? 'worker' : 'workers'}`);
    else this.#say('no worker makes attempts of this run at present');
  }

  async takePrepared(message: Extract<Message, { type: 'prepared' }>): Promise<void> {
    const { facts, prepared, host } = message;
    if (!this.#first) {
      this.#first = message;
      await this.#parts.attempts.onPrepared({ facts, prepared });
    } else {
      const { qemu, accelerator } = this.#first.facts;
      const changed = [
        qemu.version !== facts.qemu.version && `QEMU ${facts.qemu.version}, not ${qemu.version}`,
        accelerator.accelerator !== facts.accelerator.accelerator &&
          `${facts.accelerator.accelerator}, not ${accelerator.accelerator}`,
      ].filter((one) => one !== false);
      if (changed.length > 0) this.#say(`warning: the worker on ${host} uses ${changed.join(', and ')}`);
    }
    await this.look();
  }

  /** @throws when the scenario fails by itself, or no worker is left */
  async takeRefusal({ worker, host, error }: Extract<Message, { type: 'refused' }>): Promise<void> {
    const refusal = fromSentError(error, `the worker on ${host} cannot make attempts of this run: `);
    if (refusal.code === 'SCENARIO') throw refusal;
    this.#refusals.set(worker, refusal);
    await this.look();
    this.#say(`warning: ${refusal.message}`);
  }

  #throwIfAllRefused(ids: readonly string[]): void {
    const [refusal] = ids.flatMap((id) => this.#refusals.get(id) ?? []);
    if (refusal && ids.every((id) => this.#refusals.has(id))) throw refusal;
  }

  /** @throws {USAGE} when only workers of other versions and keys are there for a while */
  #complain(others: readonly WorkerEntry[]): void {
    if (others.length === 0) {
      this.#say(
        'no worker is connected to this queue: start qmpilot worker --queue URL, with the same QMPILOT_QUEUE_KEY',
      );
      return;
    }
    const version = ownVersion();
    const foreign = others.find((one) => one.version !== version);
    const what = foreign
      ? `the worker on ${foreign.host} is qmpilot ${foreign.version}, and this is ${version}`
      : `the worker on ${others[0]?.host} has another QMPILOT_QUEUE_KEY than this run`;
    this.#say(`warning: ${what}`);
    if (monotonicMs() - this.#begun < PATIENCE_MS) return;
    throw new QmpilotError('USAGE', `no worker on this queue can make attempts of this run: ${what}`, {
      hint: foreign
        ? 'install the same version of qmpilot on all machines'
        : 'set the same QMPILOT_QUEUE_KEY on all machines',
    });
  }

  #say(message: string): void {
    if (message === this.#said) return;
    this.#said = message;
    this.#parts.attempts.tell({ type: 'progress', message });
  }
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isQmpilotError } from '../../errors.js';
import type { AttemptFiles } from '../../run-files/attempt-files.js';
import type { CheckpointRecord, KeptCheckpoints } from '../../run-files/attempt-record.js';
import { CHECKPOINTS_FOLDER, checkpointFolder } from '../../run-files/checkpoint-paths.js';
import type { CheckpointSettings } from '../../run-files/run-file.js';
import { Mutex } from '../../util/async/mutex.js';
import type { Vm, VmSnapshot } from '../../vm/vm.js';
import { explainError } from '../explain-error.js';
import { alarm } from '../until-end.js';
import { entriesToDrop, leastNeeded } from './checkpoint-ring.js';

/** The part of an attempt that its checkpoints need. */
export interface CheckpointedAttempt {
  readonly index: number;
  readonly reboots: boolean;
  readonly files: Pick<AttemptFiles, 'event' | 'place'>;
  /** Milliseconds since the attempt began. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Whether the attempt may keep its checkpoints, as it has failed. */
  readonly mayKeep: () => boolean;
  /** Told once why no checkpoint can be taken. */
  readonly warn: (text: string) => void;
}

interface Checkpoint {
  readonly at: number;
  readonly bytes: number;
  readonly mark: string | undefined;
  readonly snapshot: VmSnapshot;
}

/** A checkpoint takes 0.1 s, and longer on a busy host; a QEMU that hangs must not keep the attempt from its end. */
const TAKE_TIMEOUT = '60s';

/** Without room, so many stay rather than that all give way to a new one, which may find no room either. */
const LEAST_KEPT = 2;

/** Takes snapshots along one attempt and holds a bounded number of them, until the attempt has ended. */
export class Checkpointer {
  readonly #vm: Vm;
  readonly #settings: CheckpointSettings;
  readonly #attempt: CheckpointedAttempt;
  readonly #turns = new Mutex('the checkpoints');
  readonly #removeDisks: (() => Promise<void>)[] = [];
  #ring: Checkpoint[] = [];
  #count = 0;
  #isOver = false;
  #hasFailed = () => false;
  #cancel = () => {};

  constructor(vm: Vm, settings: CheckpointSettings, attempt: CheckpointedAttempt) {
    this.#vm = vm;
    this.#settings = settings;
    this.#attempt = attempt;
  }

  /** Starts to take them; the one under way is the last when `hasFailed` returns true. */
  start(hasFailed: () => boolean): void {
    this.#hasFailed = hasFailed;
    this.#schedule();
  }

  /** Takes one at a moment that the scenario names. Never rejects: without room for it the attempt goes on. */
  mark(mark: string): Promise<void> {
    return this.#takeInTurn(mark);
  }

  /** Takes no more, after the one that is under way. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#cancel();
    await this.#turns.idle();
  }

  /**
   * Saves those from before the failure in the run directory. Returns undefined when there are none, other attempts of the run
   * have kept theirs, or they cannot be written, which is an event of the attempt.
   * @param failedAt when the failure was found, in ms
   * @param endedAt when the scenario's `attempt` ended, in ms
   * @throws {ABORTED}
   */
  async keep(failedAt: number, endedAt: number): Promise<KeptCheckpoints | undefined> {
    await this.stop();
    const { files, signal, mayKeep } = this.#attempt;
    const before = this.#ring.filter(({ at }) => at < failedAt);
    if (before.length === 0 || !mayKeep()) return undefined;
    const folder = files.place(CHECKPOINTS_FOLDER);
    const sharedRam = new Map<string, string>();
    const list: CheckpointRecord[] = [];
    try {
      for (const [index, { at, mark, bytes, snapshot }] of before.entries()) {
        await snapshot.saveSharing(join(folder, checkpointFolder(index + 1)), sharedRam, signal);
        list.push({
          number: index + 1,
          at: Math.round(at),
          ...(mark !== undefined && { mark }),
          pausedMs: Math.round(snapshot.pausedMs),
          bytes,
        });
      }
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      signal.throwIfAborted();
      files.event({ type: 'checkpoints-not-kept', reason: explainError(error) });
      return undefined;
    }
    files.event({ type: 'checkpoints-kept', count: list.length });
    return { endedAt: Math.round(endedAt), list };
  }

  /** Removes all that is left. Call it when the VM of the attempt is closed. */
  async close(): Promise<void> {
    await this.stop();
    for (const { snapshot } of this.#ring.splice(0)) await this.#drop(snapshot);
    for (const remove of this.#removeDisks.splice(0)) await remove().catch(() => {});
  }

  #schedule(): void {
    const { everyMs, most } = this.#settings;
    if (everyMs === undefined || this.#isOver) return;
    // Closer ones would be dropped again, and each leaves the running QEMU another overlay.
    this.#cancel = alarm(Math.max(everyMs, this.#attempt.now() / most), () => {
      void this.#takeInTurn(undefined).then(() => this.#schedule());
    });
  }

  async #takeInTurn(mark: string | undefined): Promise<void> {
    if (this.#isOver) return;
    await this.#turns.run('a checkpoint', {}, async () => {
      while (!this.#isOver && !this.#hasFailed() && (await this.#take(mark)) === 'again');
    });
  }

  /** @returns `again` when one was dropped to make room */
  async #take(mark: string | undefined): Promise<'again' | undefined> {
    const { index, reboots, files, now, signal, warn } = this.#attempt;
    try {
      const snapshot = await this.#vm.checkpoint(`checkpoint-${index}-${(this.#count += 1)}`, {
        signal,
        timeout: TAKE_TIMEOUT,
        ...(reboots && { reboots }),
      });
      const at = Math.max(0, now() - snapshot.pausedMs);
      const bytes = await snapshot.bytes();
      this.#ring.push({ at, bytes, mark, snapshot });
      files.event({
        type: 'checkpoint',
        at,
        ...(mark !== undefined && { mark }),
        pausedMs: Math.round(snapshot.pausedMs),
        bytes,
      });
      const { most, mebibytes } = this.#settings;
      await this.#forget(entriesToDrop(this.#ring, { most, bytes: mebibytes * 2 ** 20 }));
    } catch (error) {
      // The end of the guest, or of the run, is reported by others.
      if (signal.aborted || this.#vm.failure) return undefined;
      const least = this.#ring.length > LEAST_KEPT ? leastNeeded(this.#ring) : undefined;
      if (isQmpilotError(error, 'NO_SPACE') && least) {
        await this.#forget([least]);
        return 'again';
      }
      const reason = explainError(error);
      files.event({ type: 'no-checkpoint', reason, ...(mark !== undefined && { mark }) });
      warn(`cannot take a checkpoint: ${error instanceof Error ? error.message : reason}`);
      // Without room now, there may be some later.
      if (isQmpilotError(error, 'SNAPSHOT')) this.#isOver = true;
    }
    return undefined;
  }

  async #forget(dropped: readonly Checkpoint[]): Promise<void> {
    this.#ring = this.#ring.filter((one) => !dropped.includes(one));
    for (const { snapshot } of dropped) await this.#drop(snapshot);
  }

  async #drop(snapshot: VmSnapshot): Promise<void> {
    const removeDisks = await snapshot.drop().catch(() => undefined);
    if (removeDisks) this.#removeDisks.push(removeDisks);
  }
}

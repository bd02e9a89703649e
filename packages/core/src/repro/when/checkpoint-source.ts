import { openSavedSnapshot } from '../../vm/start/open-saved-snapshot.js';
import type { Vm, VmSnapshot, VmSnapshotPool } from '../../vm/vm.js';

interface Opened {
  readonly snapshot: VmSnapshot;
  readonly pool: VmSnapshotPool;
}

/** Loading a fork takes 0.1 s, and longer on a busy host. */
const TAKE_TIMEOUT = '2m';
/** The two sides of a rise are tried in turn. */
const MOST_OPEN = 2;

/** Supplies forks of saved checkpoints, and keeps those open that were used last. */
export class CheckpointSource {
  readonly #path: (number: number) => string;
  readonly #qemu: string | undefined;
  readonly #open = new Map<number, Promise<Opened>>();
  readonly #closing = new Set<Promise<void>>();

  constructor(path: (number: number) => string, qemu: string | undefined) {
    this.#path = path;
    this.#qemu = qemu;
  }

  /**
   * @throws {SNAPSHOT} {NOT_FOUND} when the checkpoint cannot be opened on this host
   * @throws {NO_SPACE} {ABORTED}
   */
  async take(
    number: number,
    options: { readonly signal: AbortSignal; readonly onStart: (vm: Vm) => void; readonly seed: number },
  ): Promise<{ vm: Vm; release: () => Promise<void> }> {
    const { pool } = await this.#opened(number);
    const vm = await pool.take({ timeout: TAKE_TIMEOUT, ...options });
    return { vm, release: () => vm.close() };
  }

  /** Opens a checkpoint, so that its first fork takes less time. @throws {SNAPSHOT} {NOT_FOUND} when that is not possible on this host */
  async open(number: number): Promise<void> {
    await this.#opened(number);
  }

  async close(): Promise<void> {
    for (const number of [...this.#open.keys()]) this.#drop(number);
    await Promise.all(this.#closing);
  }

  #opened(number: number): Promise<Opened> {
    const opened = this.#open.get(number) ?? this.#openNow(number);
    // The last used is the last of the map.
    this.#open.delete(number);
    this.#open.set(number, opened);
    for (const other of [...this.#open.keys()].slice(0, -MOST_OPEN)) this.#drop(other);
    return opened;
  }

  async #openNow(number: number): Promise<Opened> {
    const snapshot = await openSavedSnapshot(this.#path(number), { qemu: this.#qemu });
    return { snapshot, pool: snapshot.pool({ size: 1 }) };
  }

  /** Forks that were taken go on. */
  #drop(number: number): void {
    const opened = this.#open.get(number);
    this.#open.delete(number);
    const closing = (async () => {
      const { snapshot, pool } = (await opened?.catch(() => undefined)) ?? {};
      await pool?.close();
      await snapshot?.close();
    })();
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing)).catch(() => {});
  }
}

import type { AttemptRecord, RunEvent } from '../../run-files/attempt-record.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { boot } from '../../vm/start/boot.js';
import { makeAttempt, type AttemptRequest, type OpenFiles } from '../attempt/make-attempt.js';
import type { Scenario } from '../scenario.js';
import { prepareVm, type PreparedVm } from '../vms/prepared-vm.js';
import { poolSource, restoringSource, Supply, type VmSource } from '../vms/supply.js';
import { chooseForks, hostCapacity, type ForkCount } from './fork-count.js';

export interface MakerOptions {
  /** Number of attempts in parallel; default: as many as CPUs and free memory allow. */
  readonly forks: number | undefined;
  /** Number of attempts that will be made: more forks are of no use. */
  readonly todo: number;
  readonly fresh: boolean;
  /** Hash of the scenario, the key of its cached guest; without it none is cached. */
  readonly source: string | undefined;
  readonly cacheDir: string | undefined;
  readonly boot: typeof boot | undefined;
  readonly signal: AbortSignal | undefined;
  readonly tell: (event: RunEvent) => void;
  /** The files of boot and `prepare`. */
  readonly openFiles: OpenFiles;
  /** Called with each prepared guest; what it throws ends the run. */
  readonly onPrepared: (prepared: PreparedVm) => void | Promise<void>;
}

/** Makes attempts on this host, from the snapshot of one prepared guest. */
export class AttemptMaker {
  readonly #scenario: Scenario;
  readonly #tell: (event: RunEvent) => void;
  readonly #supply: Supply;
  readonly forks: number;
  /** What limits the number of forks, for users. */
  readonly reason: string;

  private constructor(scenario: Scenario, { tell }: MakerOptions, supply: Supply, { forks, reason }: ForkCount) {
    this.#scenario = scenario;
    this.#tell = tell;
    this.#supply = supply;
    this.forks = forks;
    this.reason = reason;
  }

  /**
   * Boots and prepares the guest, or takes it from the cache.
   * @throws what `boot` throws, and SCENARIO when `prepare` throws
   */
  static async open(scenario: Scenario, options: MakerOptions): Promise<AttemptMaker> {
    const prepared = await prepare(scenario, options);
    const count =
      prepared.snapshot.strategy === 'internal'
        ? { forks: 1, reason: 'the snapshot is internal to one QEMU' }
        : chooseForks(options.forks, prepared.vm.facts, options.todo, hostCapacity());
    const sourceOf = (one: PreparedVm): VmSource =>
      one.snapshot.strategy === 'internal' ? restoringSource(one) : poolSource(one, count.forks);
    const supply = new Supply(
      sourceOf(prepared),
      async () => sourceOf(await prepare(scenario, { ...options, fresh: true })),
      (error) =>
        options.tell({
          type: 'progress',
          message: `the snapshot no longer loads (${error instanceof Error ? error.message : String(error)}): booting again`,
        }),
    );
    return new AttemptMaker(scenario, options, supply, count);
  }

  /**
   * Makes one attempt; what happens in it is in its record.
   * @throws {ABORTED} when the signal of the request fires
   * @throws {NO_SPACE} when its evidence cannot be written
   */
  make(request: AttemptRequest): Promise<AttemptRecord> {
    return makeAttempt(this.#scenario, request, (options) => this.#supply.take(options), this.#tell);
  }

  close(): Promise<void> {
    return this.#supply.close();
  }
}

async function prepare(scenario: Scenario, options: MakerOptions): Promise<PreparedVm> {
  const { signal, boot, source, cacheDir, fresh, tell } = options;
  const begun = monotonicMs();
  const broken = new AbortController();
  const files = await options.openFiles(
    () => monotonicMs() - begun,
    (error) => broken.abort(error),
  );
  try {
    const cache = boot === undefined && source !== undefined ? { source, fresh, cacheDir } : undefined;
    const prepared = await prepareVm(scenario, { boot, cache, signal, broken: broken.signal, files, begun, tell });
    try {
      await options.onPrepared(prepared);
      return prepared;
    } catch (error) {
      await prepared.close();
      throw error;
    }
  } finally {
    files.close();
  }
}

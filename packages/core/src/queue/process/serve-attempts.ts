import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { withInstallation } from '../../repro/installation.js';
import { AttemptMaker } from '../../repro/run/attempt-maker.js';
import type { CheckpointedRun, PreparedGuest } from '../../repro/run/attempt-queue.js';
import { onGuest, onKernel, type Scenario } from '../../repro/scenario.js';
import { ForkMaker } from '../../repro/when/fork-maker.js';
import { readWhenInput } from '../../repro/when/when-input.js';
import { AttemptFiles } from '../../run-files/attempt-files.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import { deferred, type Deferred } from '../../util/async/deferred.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { monotonicMs } from '../../util/time/clock.js';
import { packEvidence } from '../store/evidence.js';
import { toSentError } from '../store/sent-error.js';
import type { FromProcess, OpenRequest, ToProcess } from './protocol.js';

/** Of the console of an attempt, where it travels through the queue: the beginning, and as much of the end as `console-end.log` has. */
const SENT_CONSOLE_BYTES = 8 << 20;

/**
 * Makes attempts for a worker: the main function of the program that `runWorker` starts. The process ends with its worker.
 * @param load loads the scenario of a file
 */
export function serveAttempts(load: (file: string) => Promise<Scenario>): void {
  const server = new AttemptServer(load);
  process.on('message', (message: ToProcess) => void server.take(message));
  process.on('disconnect', () => void server.end());
  // From the terminal they reach all processes; the worker decides what to do.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const uncaught = (how: string) => (error: unknown) =>
    server.fail(
      new QmpilotError(
        'SCENARIO',
        `${how} in the scenario: ${error instanceof Error ? error.message : String(error)}`,
        {
          cause: error,
          evidence: { stderr: (error instanceof Error ? (error.stack ?? error.message) : String(error)).split('\n') },
          hint: 'await every promise in the scenario, and catch errors in its timers',
        },
      ),
    );
  process.on('uncaughtException', uncaught('uncaught exception'));
  process.on('unhandledRejection', uncaught('unhandled promise rejection'));
}

/** Makes attempts, from a prepared guest or from checkpoints. */
type Maker = Pick<AttemptMaker, 'forks' | 'make' | 'close'>;

class AttemptServer {
  readonly #load: (file: string) => Promise<Scenario>;
  readonly #ended = new AbortController();
  readonly #running = new Map<number, AbortController>();
  readonly #claims = new Map<number, Deferred<boolean>>();
  /** The slot in which an attempt runs: events name the attempt. */
  readonly #slots = new Map<number, number>();
  #request: OpenRequest | undefined;
  #maker: Promise<Maker> | undefined;

  constructor(load: (file: string) => Promise<Scenario>) {
    this.#load = load;
  }

  async take(message: ToProcess): Promise<void> {
    switch (message.type) {
      case 'open':
        this.#request = message.request;
        this.#maker = this.#open(message.request);
        await this.#maker.catch((error: unknown) => this.fail(error));
        return;
      case 'attempt':
        await this.#make(message);
        return;
      case 'cancel':
        this.#running.get(message.id)?.abort(new Error('cancelled'));
        return;
      case 'claimed':
        this.#claims.get(message.id)?.resolve(message.mine);
        return;
      case 'close':
        await this.end();
    }
  }

  fail(error: unknown): void {
    if (!this.#ended.signal.aborted) send({ type: 'failed', error: toSentError(error) });
  }

  async end(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(new Error('the worker has ended'));
    for (const one of this.#running.values()) one.abort(this.#ended.signal.reason);
    await this.#maker?.then((maker) => maker.close()).catch(() => {});
    // A worker that was killed leaves its folder behind.
    if (!process.connected && this.#request) await removeDirectory(this.#request.scratch).catch(() => {});
    process.exit(0);
  }

  async #open(request: OpenRequest): Promise<Maker> {
    const { kernel, forks, fresh, source, scratch, checkpoints } = request;
    const given = await this.#loadScenario(request);
    if (checkpoints) return this.#openCheckpoints(given, checkpoints, forks);
    const scenario = kernel === undefined ? given : onKernel(given, kernel);
    let prepared: PreparedGuest | undefined;
    const maker = await AttemptMaker.open(scenario, {
      forks,
      todo: Number.POSITIVE_INFINITY,
      fresh,
      source,
      cacheDir: undefined,
      boot: undefined,
      signal: this.#ended.signal,
      tell: (event) => this.#tell(event),
      openFiles: async (now, onFailure) =>
        new AttemptFiles(await emptyFolder(join(scratch, 'prepare')), now, onFailure),
      onPrepared: ({ vm, prepared: how }) => void (prepared = { facts: vm.facts, prepared: how }),
    });
    if (prepared) send({ type: 'ready', forks: maker.forks, guest: prepared });
    return maker;
  }

  /** Makes forks of the checkpoints of an attempt, whose run is in a directory that all machines share. */
  async #openCheckpoints(
    scenario: Scenario,
    { dir, attempt }: CheckpointedRun,
    forks: number | undefined,
  ): Promise<Maker> {
    if (!(await stat(dir).catch(() => undefined))?.isDirectory())
      throw new QmpilotError('USAGE', `cannot find the run directory ${dir} on this machine`, {
        hint: 'make the run in a directory that all machines share at the same path: repro --checkpoints 2s --out DIR',
      });
    const begun = monotonicMs();
    const input = await readWhenInput(dir, attempt);
    const { facts } = input.run;
    if (!facts) throw new QmpilotError('USAGE', `run.json of ${dir} does not say what its guest is`);
    const maker = new ForkMaker(scenario, input, { forks, todo: Number.POSITIVE_INFINITY });
    try {
      await maker.check();
    } catch (error) {
      await maker.close();
      throw error;
    }
    const prepared = { ms: monotonicMs() - begun, snapshotMs: 0, from: 'cache' as const };
    send({ type: 'ready', forks: maker.forks, guest: { facts, prepared } });
    return maker;
  }

  /** The scenario with its guest, and with the build that its attempts are about. */
  async #loadScenario({ file, guest, build }: OpenRequest): Promise<Scenario> {
    if (build) {
      if (!(await stat(build.dir).catch(() => undefined))?.isDirectory())
        throw new QmpilotError('USAGE', `cannot find the build ${build.dir} on this machine`, {
          hint: 'name a directory by bisect --out that all machines share at the same path',
        });
      process.env['QMPILOT_BUILD'] = build.dir;
      process.env['QMPILOT_COMMIT'] = build.commit;
    }
    const loaded = await this.#load(file);
    const scenario = guest === undefined ? loaded : onGuest(loaded, guest);
    return build?.install === undefined ? scenario : withInstallation(scenario, build.dir, build.install);
  }

  async #make({ id, index, seed, slot, folder }: Extract<ToProcess, { type: 'attempt' }>): Promise<void> {
    const cancelled = new AbortController();
    this.#running.set(id, cancelled);
    this.#slots.set(index, slot);
    try {
      const [maker, request] = [await this.#maker, this.#request];
      if (!maker || !request) throw new QmpilotError('CLOSED', 'no scenario was opened');
      const path = join(request.shared ?? request.scratch, folder);
      const record = await maker.make({
        index,
        fork: slot,
        seed,
        timeout: request.timeoutMs,
        claimDump: () => this.#claimDump(id),
        signal: cancelled.signal,
        openFiles: async (now, onFailure) =>
          new AttemptFiles(
            await emptyFolder(path),
            now,
            onFailure,
            request.shared !== undefined ? {} : { log: SENT_CONSOLE_BYTES },
          ),
      });
      const evidence = request.shared !== undefined ? undefined : await packEvidence(path);
      if (evidence) await rm(path, { recursive: true, force: true });
      send({ type: 'made', id, record, ...(evidence && { evidence }) });
    } catch (error) {
      send({ type: 'not-made', id, error: toSentError(error) });
    } finally {
      this.#running.delete(id);
      this.#slots.delete(index);
    }
  }

  #claimDump(id: number): Promise<boolean> {
    const claim = deferred<boolean>();
    this.#claims.set(id, claim);
    send({ type: 'claim', id });
    return claim.promise.finally(() => this.#claims.delete(id));
  }

  #tell(event: RunEvent): void {
    const slot = 'index' in event ? this.#slots.get(event.index) : 0;
    if (slot !== undefined) send({ type: 'event', slot, event });
  }
}

async function emptyFolder(path: string): Promise<string> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Nobody listens any more when the worker has ended. */
function send(message: FromProcess): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

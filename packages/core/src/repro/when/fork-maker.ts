import { QmpilotError } from '../../errors.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { makeAttempt, type AttemptRequest } from '../attempt/make-attempt.js';
import { chooseForks, hostCapacity } from '../run/fork-count.js';
import type { Scenario } from '../scenario.js';
import { CheckpointSource } from './checkpoint-source.js';
import { forkOfIndex } from './curve.js';
import { restOfAttempt } from './rest-of-attempt.js';
import type { WhenInput } from './when-input.js';

/** Makes forks of the checkpoints of a failing attempt on this host. */
export class ForkMaker {
  readonly #scenario: Scenario;
  readonly #input: WhenInput;
  readonly #source: CheckpointSource;
  /** Forks in parallel. */
  readonly forks: number;
  /** What limits their number, for users. */
  readonly reason: string;

  /**
   * @param forks number of forks in parallel; default: as many as CPUs and free memory allow
   * @param qemu QEMU's binary; default `$QMPILOT_QEMU`, else `qemu-system-x86_64` on PATH
   */
  constructor(
    scenario: Scenario,
    input: WhenInput,
    {
      forks,
      todo,
      qemu,
    }: { readonly forks?: number | undefined; readonly todo: number; readonly qemu?: string | undefined },
  ) {
    this.#scenario = scenario;
    this.#input = input;
    this.#source = new CheckpointSource((number) => input.pathOf(number), qemu);
    const { cpus = 1, memoryMiB = 512 } = input.run.facts ?? {};
    const count = chooseForks(forks, { cpus, memoryMiB }, todo, hostCapacity());
    this.forks = count.forks;
    this.reason = count.reason;
  }

  /** Opens the first checkpoint. @throws {SNAPSHOT} {NOT_FOUND} when that is not possible on this host */
  async check(): Promise<void> {
    await this.#source.open(this.#input.checkpoints.list[0]?.number ?? 0);
  }

  /**
   * Makes the fork whose number is the index of the request.
   * @throws {SNAPSHOT} {NOT_FOUND} when its checkpoint cannot be opened
   * @throws {ABORTED} {NO_SPACE}
   */
  async make(request: Omit<AttemptRequest, 'timeout'>): Promise<AttemptRecord> {
    const { index, seed } = request;
    const { checkpoint: number, ordinal } = forkOfIndex(index);
    const checkpoint = this.#input.checkpoints.list.find((one) => one.number === number);
    if (!checkpoint)
      throw new QmpilotError('NOT_FOUND', `attempt ${this.#input.record.index} has no checkpoint ${number}`);
    const { scenario, timeout } = restOfAttempt(this.#scenario, this.#input, checkpoint);
    const record = await makeAttempt(
      scenario,
      { ...request, index: ordinal + 1, timeout },
      (taken) => this.#source.take(number, { ...taken, seed }),
      () => {},
    );
    return { ...record, index };
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

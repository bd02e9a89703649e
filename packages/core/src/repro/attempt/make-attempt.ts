import type { AttemptFiles } from '../../run-files/attempt-files.js';
import type { AttemptRecord, RunEvent } from '../../run-files/attempt-record.js';
import type { CheckpointSettings } from '../../run-files/run-file.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Vm } from '../../vm/vm.js';
import { Checkpointer, type CheckpointedAttempt } from '../checkpoints/checkpointer.js';
import type { Scenario } from '../scenario.js';
import type { AttemptOptions } from './attempt-options.js';
import { runAttempt } from './attempt.js';

/** Opens the files of one attempt, or of the preparation; their times count from `now`. */
export type OpenFiles = (now: () => number, onFailure: (error: unknown) => void) => Promise<AttemptFiles>;

/** What is kept along an attempt. */
export interface CheckpointRequest extends Pick<CheckpointedAttempt, 'mayKeep' | 'warn'> {
  readonly settings: CheckpointSettings;
}

/** One attempt to make. */
export interface AttemptRequest extends Pick<AttemptOptions, 'index' | 'fork' | 'seed' | 'timeout' | 'claimDump'> {
  readonly signal: AbortSignal;
  readonly openFiles: OpenFiles;
  /** Keeps checkpoints along the attempt. */
  readonly checkpoints?: CheckpointRequest | undefined;
}

interface AttemptVm {
  readonly vm: Vm;
  release(): Promise<void>;
}

/**
 * Makes one attempt; what happens in it is in its record.
 * @param take returns a VM at the beginning of the attempt, and calls `onStart` before its guest continues
 * @throws {ABORTED} when the signal of the request fires
 * @throws {NO_SPACE} when its evidence cannot be written
 */
export async function makeAttempt(
  scenario: Scenario,
  { openFiles, checkpoints: wanted, ...request }: AttemptRequest,
  take: (options: { signal: AbortSignal; onStart: (vm: Vm) => void }) => Promise<AttemptVm>,
  tell: (event: RunEvent) => void,
): Promise<AttemptRecord> {
  const { index, signal } = request;
  const broken = new AbortController();
  let begun = monotonicMs();
  const now = () => monotonicMs() - begun;
  const files = await openFiles(now, (error) => broken.abort(error));
  try {
    const asked = monotonicMs();
    const taken = await take({
      signal,
      onStart: (vm) => {
        begun = monotonicMs();
        vm.console.setTranscript(files.console);
      },
    });
    const restoreMs = monotonicMs() - asked;
    const reboots = scenario.reboots === true;
    const checkpoints =
      wanted && new Checkpointer(taken.vm, wanted.settings, { ...wanted, index, reboots, files, now, signal });
    try {
      tell({ type: 'restored', index, ms: restoreMs });
      return await runAttempt(taken.vm, scenario, {
        ...request,
        checkpoints,
        restoreMs,
        files,
        now,
        broken: broken.signal,
        onEvent: tell,
      });
    } finally {
      await checkpoints?.stop();
      await taken.release();
      await checkpoints?.close();
    }
  } finally {
    files.close();
  }
}

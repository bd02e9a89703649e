import type { CheckpointRecord } from '../../run-files/attempt-record.js';
import type { Vm } from '../../vm/vm.js';
import type { AttemptContext, Scenario } from '../scenario.js';
import { listen } from '../until-end.js';
import type { WhenInput } from './when-input.js';

/** How often the time is waited that the failing attempt still needed. */
const PATIENCE = 3;
const LEAST_MS = 5000;

/** What is made in a fork of a checkpoint: a scenario whose attempt is the rest of one, and its time limit in ms. */
export interface RestOfAttempt {
  readonly scenario: Scenario;
  readonly timeout: number;
}

/** Returns how a fork of this checkpoint is judged. */
export function restOfAttempt(
  scenario: Scenario,
  { run, checkpoints, failure }: Pick<WhenInput, 'run' | 'checkpoints' | 'failure'>,
  { at, mark }: CheckpointRecord,
): RestOfAttempt {
  // One dump in a run is enough.
  const { dump: _, ...detect } = scenario.detect ?? {};
  if (scenario.fromCheckpoint) {
    const from = { at, ...(mark !== undefined && { mark }) };
    return {
      scenario: {
        ...scenario,
        detect,
        attempt: async (vm, context) => scenario.fromCheckpoint?.(vm, { ...context, from }),
      },
      timeout: Math.max(LEAST_MS, run.timeoutMs - at),
    };
  }
  // A failure that was found after the end of `attempt`, by a poweroff, comes after it in a fork as well.
  const needed = Math.min(failure.at, checkpoints.endedAt) - at;
  return {
    scenario: { ...scenario, detect, attempt: awaitDetectors },
    timeout: Math.max(LEAST_MS, PATIENCE * needed),
  };
}

/** Waits until a detector finds a failure, the guest ends, or the time is up. */
async function awaitDetectors(vm: Vm, { signal, watch }: AttemptContext): Promise<void> {
  const undo: (() => void)[] = [];
  try {
    await new Promise<void>((resolve) => {
      undo.push(
        watch.onFinding(({ severity }) => {
          if (severity === 'error') resolve();
        }),
        vm.onEvent((event) => {
          if (event.type === 'qmp' && event.event === 'SHUTDOWN') resolve();
        }),
        listen(signal, () => resolve()),
      );
      if (watch.findings.some(({ severity }) => severity === 'error')) resolve();
    });
  } finally {
    for (const step of undo) step();
  }
}

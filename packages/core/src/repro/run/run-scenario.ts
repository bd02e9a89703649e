import type { RunSummary } from '../../run-files/attempt-record.js';
import type { Scenario } from '../scenario.js';
import type { RunOptions } from './run-options.js';

/**
 * Boots and prepares the guest, takes a snapshot, and runs the attempts from it, `forks` at a time. Finished attempts are in the
 * run directory, whatever comes after them; `resume` continues from there.
 * @throws {USAGE} for options, or a run directory, that cannot be used
 * @throws what `boot` throws, and SCENARIO when `prepare` throws
 * @throws {ABORTED} {NO_SPACE} in the middle of a run
 */
export async function runScenario(scenario: Scenario, options: RunOptions = {}): Promise<RunSummary> {
  // Loaded here: a file that defines a scenario, and whatever imports it, needs none of this.
  const { executeRun } = await import('./run.js');
  return executeRun(scenario, options);
}

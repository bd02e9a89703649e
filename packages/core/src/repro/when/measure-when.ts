import type { WhenResult } from '../../run-files/when-file.js';
import type { Scenario } from '../scenario.js';
import type { WhenOptions } from './when-options.js';

/**
 * Finds when a failure became probable: makes forks of the checkpoints of a failing attempt, and measures how many of them fail. Goes on where that
 * probability rises most, until it lies between two neighbouring checkpoints, and confirms it there by a sequential test. Finished forks are
 * in the folder of the attempt; another call goes on with them.
 * @throws {USAGE} when the run or the attempt has no checkpoints, the attempt did not fail, or the scenario has changed
 * @throws {SNAPSHOT} {NOT_FOUND} when a checkpoint cannot be opened on this host
 * @throws {ALREADY_EXISTS} when `keep` exists
 * @throws {ABORTED} {NO_SPACE} in the middle; forks that have ended are kept
 */
export async function measureWhen(scenario: Scenario, options: WhenOptions): Promise<WhenResult> {
  // Loaded here, as for runScenario.
  const { executeWhen } = await import('./when.js');
  return executeWhen(scenario, options);
}

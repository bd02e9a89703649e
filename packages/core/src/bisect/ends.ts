import { QmpilotError } from '../errors.js';
import { type BisectionEnd, EndsTest } from '../statistics/bisection/ends-test.js';
import type { Range } from './range.js';
import type { Tries } from './tries.js';

const FIRST_SERIES = 5;
const LONGEST_SERIES = 40;

/** Makes attempts at both ends until it is decided whether the bad end fails more often. Begins at the bad end, whose failure it is. */
export async function testEnds(tries: Tries, range: Range, maxAttempts: number): Promise<EndsTest> {
  const test = new EndsTest({ maxAttempts });
  const queues: Record<BisectionEnd, boolean[]> = { bad: [], good: [] };
  const series: Record<BisectionEnd, number> = { bad: FIRST_SERIES, good: FIRST_SERIES };
  const more = async (end: BisectionEnd, most: number) => {
    const tried = await tries.try('ends', range[end], Math.min(series[end], most));
    series[end] = Math.min(2 * series[end], LONGEST_SERIES);
    queues[end].push(...('failed' in tried ? tried.failed : []));
  };
  await more('bad', maxAttempts);
  await more('good', maxAttempts);
  if (tries.twinsOf(range.bad).includes(range.good))
    throw new QmpilotError('USAGE', 'the builds of good and bad are the same: no attempt can tell them apart', {
      hint: 'does the build command put the files of this commit into $QMPILOT_OUT?',
    });
  for (let end = test.next(); end; end = test.next()) {
    const failed = queues[end].shift();
    if (failed === undefined) await more(end, maxAttempts - test.counts[end].attempts);
    else test.observe(end, failed);
  }
  return test;
}

import { QmpilotError } from '../errors.js';
import { type BisectionEnd, EndsTest } from '../statistics/bisection/ends-test.js';
import type { Range } from './git/range.js';
import type { Tries } from './tries.js';

const FIRST_SERIES = 5;
const LONGEST_SERIES = 40;
/** Of so many attempts at an end, a quarter has to come to a verdict. */
const ENOUGH_ATTEMPTS = 40;

/** Makes attempts at both ends until it is decided whether the bad end fails more often. Begins at the bad end, whose failure it is. */
export async function testEnds(tries: Tries, range: Range, maxAttempts: number): Promise<EndsTest> {
  const series: Record<BisectionEnd, number> = { bad: FIRST_SERIES, good: FIRST_SERIES };
  const more = async (end: BisectionEnd, most: number) => {
    await tries.try('ends', range[end], Math.min(series[end], most));
    series[end] = Math.min(2 * series[end], LONGEST_SERIES);
    const [made, verdicts] = [tries.madeOf(range[end]), tries.verdictsOf(range[end]).length];
    if (made >= ENOUGH_ATTEMPTS && 4 * verdicts < made)
      throw new QmpilotError(
        'SCENARIO',
        `the ${end} end cannot be tried: only ${verdicts} of ${made} attempts came to a verdict about the failure`,
        { hint: 'look at the evidence of its attempts, below runs/' },
      );
  };
  await more('bad', maxAttempts);
  await more('good', maxAttempts);
  if (tries.twinsOf(range.bad).includes(range.good))
    throw new QmpilotError('USAGE', 'the builds of good and bad are the same: no attempt can tell them apart', {
      hint: 'does the build command put the files of this commit into $QMPILOT_OUT?',
    });
  for (;;) {
    // Which failure counts may be known only after some attempts: all of them are looked at again.
    const test = new EndsTest({ maxAttempts });
    const verdicts = { bad: [...tries.verdictsOf(range.bad)], good: [...tries.verdictsOf(range.good)] };
    const missing = observeAll(test, verdicts);
    if (missing === undefined) return test;
    await more(missing, maxAttempts - test.counts[missing].attempts);
  }
}

/** Returns the end that the test needs more attempts of; undefined when it has ended. */
function observeAll(test: EndsTest, verdicts: Record<BisectionEnd, boolean[]>): BisectionEnd | undefined {
  for (let end = test.next(); end; end = test.next()) {
    const failed = verdicts[end].shift();
    if (failed === undefined) return end;
    test.observe(end, failed);
  }
  return undefined;
}

import { median } from '../statistics/median.js';
import { wilsonInterval } from '../statistics/wilson.js';
import type { AttemptRecord, RunSummary } from './attempt-record.js';
import { generalTitle } from './general-title.js';

/** Inconclusive attempts say nothing about the bug: they are counted, and left out of the rate. */
export function summarize(records: readonly AttemptRecord[], dir: string): RunSummary {
  const count = (outcome: AttemptRecord['outcome']) => records.filter((record) => record.outcome === outcome).length;
  const [reproduced, clean, inconclusive] = [count('reproduced'), count('clean'), count('inconclusive')];
  const told = reproduced + clean;
  const times = records.flatMap(({ timeToFailureMs }) => (timeToFailureMs === undefined ? [] : [timeToFailureMs]));
  return {
    v: 1,
    type: 'summary',
    attempts: records.length,
    reproduced,
    clean,
    inconclusive,
    threw: records.filter(({ outcome, threw }) => outcome === 'inconclusive' && threw === true).length,
    rate: told === 0 ? null : reproduced / told,
    interval: wilsonInterval(reproduced, told),
    medianTimeToFailureMs: median(times),
    failures: countFailures(records),
    dir,
  };
}

function countFailures(records: readonly AttemptRecord[]): RunSummary['failures'] {
  const failures = new Map<string, { signature: string; title: string; attempts: number }>();
  for (const { findings } of records) {
    const own = new Map(
      findings
        .filter(({ severity }) => severity === 'error')
        .map(({ signature, title, kind }) => [signature, generalTitle(title, kind)]),
    );
    for (const [signature, title] of own) {
      const known = failures.get(signature);
      if (known) known.attempts += 1;
      else failures.set(signature, { signature, title, attempts: 1 });
    }
  }
  return [...failures.values()].toSorted(
    (one, other) => other.attempts - one.attempts || one.signature.localeCompare(other.signature),
  );
}

import { median } from '../statistics/median.js';
import { wilsonInterval } from '../statistics/wilson.js';
import type { AttemptRecord, RunSummary } from './attempt-record.js';
import { attemptsOf, groupIncidents } from './incidents/incident-groups.js';

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
  return groupIncidents(records)
    .filter(({ seen }) => seen.some(({ incident }) => incident.severity === 'error'))
    .map((group) => ({
      signature: group.signature,
      title: group.title,
      attempts: attemptsOf(group).length,
      symptoms: group.symptoms.map((symptom) => ({
        signature: symptom.signature,
        title: symptom.title,
        attempts: attemptsOf(symptom).length,
      })),
    }))
    .toSorted((one, other) => other.attempts - one.attempts || one.signature.localeCompare(other.signature));
}

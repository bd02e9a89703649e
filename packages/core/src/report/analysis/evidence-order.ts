import type { AttemptRecord } from '../../run-files/attempt-record.js';

/**
 * In which order attempts get into a report that has no room for all: first one for each failure, then the failed ones and
 * the others alternately, as a clean attempt is as informative.
 */
export function evidenceOrder(attempts: readonly AttemptRecord[]): number[] {
  const first = new Map<string, number>();
  for (const { index, findings, outcome } of attempts) {
    if (outcome !== 'reproduced') continue;
    for (const { signature } of findings) if (!first.has(signature)) first.set(signature, index);
  }
  const failed = attempts.filter(({ outcome }) => outcome === 'reproduced').map(({ index }) => index);
  const others = attempts.filter(({ outcome }) => outcome !== 'reproduced').map(({ index }) => index);
  const turns = Array.from({ length: Math.max(failed.length, others.length) }, (_, place) => [
    failed[place],
    others[place],
  ]).flat();
  return [...new Set([...first.values(), ...turns.filter((index) => index !== undefined)])];
}

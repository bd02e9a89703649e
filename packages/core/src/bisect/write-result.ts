import { join } from 'node:path';
import { replaceFile } from '../util/files/atomic-write.js';
import type { BisectJournal } from './journal.js';
import type { Range } from './range.js';
import { renderReport } from './report.js';
import type { BisectResult } from './result.js';
import type { SearchEnd } from './search.js';
import type { Tries } from './tries.js';

/** More suspects than this are a number only. */
const MAX_SUSPECTS = 20;

interface Context {
  readonly range: Range;
  readonly tries: Tries;
  readonly journal: BisectJournal;
}

/** Completes the result, and writes it as `result.json` and `report.md`. */
export async function writeResult(end: SearchEnd, { range, tries, journal }: Context): Promise<BisectResult> {
  const { bisection, ends, confirmation } = end;
  const named = async ({ commit, probability }: { readonly commit: string; readonly probability: number }) => ({
    commit,
    subject: await range.repository.subject(commit),
    probability,
  });
  const result: BisectResult = {
    v: 1,
    state: end.state,
    reason: end.reason,
    culprits: await Promise.all(end.culprits.slice(0, MAX_SUSPECTS).map(named)),
    suspects: await Promise.all(bisection.credibleSet().slice(0, MAX_SUSPECTS).map(named)),
    commits: range.commits.length,
    good: range.good,
    bad: range.bad,
    ...(tries.signature !== undefined && { signature: tries.signature }),
    ends: ends.counts,
    rates: bisection.rates,
    confirmation: (confirmation?.counts ?? []).map(({ commit = range.good, failures, attempts }) => ({
      commit,
      failures,
      attempts,
    })),
    counts: tries.counts,
    skipped: tries.skipped,
    builds: journal.past.filter(({ type }) => type === 'build').length,
    attempts: journal.past.reduce((sum, line) => sum + (line.type === 'attempts' ? line.attempts.length : 0), 0),
    ms: journal.past.reduce((sum, line) => sum + line.ms, 0),
    dir: journal.dir,
  };
  await replaceFile(join(journal.dir, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  await replaceFile(join(journal.dir, 'report.md'), renderReport(result));
  return result;
}

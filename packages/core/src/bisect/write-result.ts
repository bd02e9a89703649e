import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadAssets } from '../repro/reports/load-assets.js';
import { readRuns } from '../repro/reports/read-run.js';
import { replaceFile } from '../util/files/atomic-write.js';
import { elapsedMs } from './costs.js';
import { renderGitBisectLog } from './git/git-log.js';
import type { Range } from './git/range.js';
import type { AttemptsLine, BisectJournal } from './journal.js';
import type { BisectEvent } from './options.js';
import { graphOrder } from './report/history-graph.js';
import { renderReport } from './report/markdown.js';
import { type Series, shownCommits } from './report/page-input.js';
import { renderBisection } from './report/page.js';
import type { BisectResult } from './result.js';
import type { SearchEnd } from './search.js';
import { seriesName, type Tries } from './tries.js';

/** More suspects than this are a number only. */
const MAX_SUSPECTS = 20;

/** Facts of a run that are another for each build or series. */
const FACTS_OF_ONE_RUN: ReadonlySet<string> = new Set(['Guest kernel', 'Guest image', 'Seed', 'Started']);

interface Context {
  readonly range: Range;
  readonly tries: Tries;
  readonly journal: BisectJournal;
  readonly tell: (event: BisectEvent) => void;
}

/** Completes the result, and writes it as `result.json`, `report.md`, `report.html`, and for a repository `bisect.log`. */
export async function writeResult(end: SearchEnd, context: Context): Promise<BisectResult> {
  const { range, tries, journal } = context;
  const { bisection, ends, confirmation } = end;
  const suspects = bisection.credibleSet().slice(0, MAX_SUSPECTS);
  const culprits = end.culprits.slice(0, MAX_SUSPECTS);
  const subjects = await range.subjects([...culprits, ...suspects].map(({ commit }) => commit));
  const named = ({ commit, probability }: { readonly commit: string; readonly probability: number }) => ({
    commit,
    subject: subjects.get(commit) ?? '',
    probability,
  });
  const result: BisectResult = {
    v: 1,
    state: end.state,
    reason: end.reason,
    culprits: culprits.map(named),
    suspects: suspects.map(named),
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
    ...(end.revert !== undefined && { revert: end.revert }),
    counts: tries.counts,
    skipped: [...range.skip.map((commit) => ({ commit, reason: 'it was to be skipped' })), ...tries.skipped],
    builds: journal.past.filter(({ type }) => type === 'build').length,
    attempts: journal.past.reduce((sum, line) => sum + (line.type === 'attempts' ? line.attempts.length : 0), 0),
    ms: elapsedMs(journal.past),
    dir: journal.dir,
  };
  await replaceFile(join(journal.dir, 'result.json'), `${JSON.stringify(result, null, 2)}\n`);
  await replaceFile(join(journal.dir, 'report.md'), renderReport(result));
  if (range.repository) await replaceFile(join(journal.dir, 'bisect.log'), renderGitBisectLog(result, range));
  try {
    await writePage(result, end, context);
  } catch (error) {
    // All that is in it is in the directory as well.
    const message = error instanceof Error ? error.message : String(error);
    context.tell({ type: 'progress', message: `cannot write report.html: ${message}` });
  }
  return result;
}

async function writePage(result: BisectResult, { bisection }: SearchEnd, context: Context): Promise<void> {
  const { range, journal } = context;
  const history = graphOrder(range.commits);
  const suspects = bisection.credibleSet(0.99);
  const shown = shownCommits(history, result, suspects);
  const series = await Promise.all(
    journal.past.flatMap((line, index) => (line.type === 'attempts' ? [seriesOf(line, index, context)] : [])),
  );
  const page = renderBisection(
    {
      ...{ result, about: journal.about, history, shown, series },
      probabilities: new Map(bisection.suspects.map(({ commit, probability }) => [commit, probability])),
      subjects: await range.subjects([...shown, range.good]),
      environment: await environmentOf(journal.dir, series),
    },
    await loadAssets(),
  );
  await replaceFile(join(journal.dir, 'report.html'), page);
}

async function seriesOf(line: AttemptsLine, index: number, { tries, journal }: Context): Promise<Series> {
  const name = seriesName(index);
  const verdicts = line.attempts.flatMap((signatures) => tries.verdict(signatures));
  const report = `runs/${name}/report.html`;
  const isThere = await stat(join(journal.dir, report)).catch(() => undefined);
  return {
    ...{ name, path: isThere ? report : `runs/${name}/`, purpose: line.purpose, commit: line.commit, ms: line.ms },
    failures: verdicts.filter(Boolean).length,
    verdicts: verdicts.length,
    made: line.attempts.length,
    unusable: line.unusable,
  };
}

async function environmentOf(dir: string, series: readonly Series[]) {
  for (const { name } of series) {
    const [run] = await readRuns([join(dir, 'runs', name)], { evidence: false }).catch(() => []);
    if (run) return run.run.environment.filter((fact) => !FACTS_OF_ONE_RUN.has(fact.name));
  }
  return [];
}

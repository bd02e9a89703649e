import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reportData } from '../../report/analysis/report-data.js';
import { attempt } from '../../report/analysis/run.fixture.js';
import { renderMarkdown } from '../../report/markdown.js';
import { renderText } from '../../report/text.js';
import { plannedIndices } from '../run/plan.js';
import { readRuns } from './read-run.js';
import { reportJUnit } from './report-junit.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-shards-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const OUTCOMES = 'rcccricrcc';
const RUN = {
  v: 1,
  name: 'hang',
  startedAt: '2026-01-31T12:00:00.000Z',
  seed: 7,
  attempts: OUTCOMES.length,
  timeoutMs: 1000,
  source: { file: 'hang.repro.ts', sha256: 'ab' },
  sessions: [{ startedAt: '2026-01-31T12:00:00.000Z', pid: 1, end: 'finished' }],
};

async function makeRun(name: string, shard?: { readonly index: number; readonly count: number }): Promise<string> {
  const path = join(dir, name);
  await mkdir(path);
  await writeFile(join(path, 'run.json'), JSON.stringify({ ...RUN, ...(shard && { shard }) }));
  // In the order in which they finished, which is not that of the indices.
  const indices = plannedIndices({ attempts: RUN.attempts, ...(shard && { shard }) }).toReversed();
  await writeFile(
    join(path, 'attempts.jsonl'),
    indices.map((index) => `${JSON.stringify(attempt(index, OUTCOMES[index - 1] ?? ''))}\n`).join(''),
  );
  return path;
}

describe('the shards of a run', () => {
  it('are reported as the run that was not split', async () => {
    const whole = await makeRun('whole');
    const shards = await Promise.all([3, 1, 2].map((index) => makeRun(`shard-${index}`, { index, count: 3 })));
    const [one, ...none] = await readRuns(shards, { evidence: false });
    const [other] = await readRuns([whole], { evidence: false });
    expect(none).toEqual([]);
    if (!one || !other) throw new Error('no run');
    expect(renderMarkdown(one)).toBe(renderMarkdown(other));
    const place = { label: '', dir: '' };
    expect(reportData([{ ...one, ...place }])).toEqual(reportData([{ ...other, ...place }]));
    expect(renderText([{ ...one, ...place }])).toBe(renderText([{ ...other, ...place }]));
    expect(await reportJUnit(shards)).toBe(await reportJUnit([whole]));
  });

  it('are each reproduced by a command that makes the same attempts', async () => {
    const [shard] = await readRuns([await makeRun('shard-2', { index: 2, count: 3 })], { evidence: false });
    expect(shard && renderMarkdown(shard)).toContain(
      '\nqmpilot repro hang.repro.ts --attempts 10 --shard 2/3 --seed 7\n',
    );
    const [whole] = await readRuns([await makeRun('whole')], { evidence: false });
    expect(whole && renderMarkdown(whole)).toContain('\nqmpilot repro hang.repro.ts --attempts 10 --seed 7\n');
  });
});

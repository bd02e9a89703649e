import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { BisectResult } from '../result.js';
import { graphOrder } from './history-graph.js';
import { type BisectionPage, shownCommits } from './page-input.js';
import { renderBisection } from './page.js';

const HOSTILE = '</script><img src=x onerror=alert(1)><!-- "\'`\u001b]52;c;eA==\u0007\u202e\u2028';
const id = (number: number) => number.toString(16).padStart(40, '0');
const [GOOD, CULPRIT, BAD] = [id(0), id(30), id(60)];

/** 60 commits in a line, with a side branch of 70 that is merged by 20. */
const history = graphOrder([
  ...Array.from({ length: 60 }, (_, index) => ({
    id: id(index + 1),
    parents: index + 1 === 20 ? [id(19), id(70)] : [id(index)],
  })),
  { id: id(70), parents: [id(10)] },
]);
const result: BisectResult = {
  ...{ v: 1, state: 'confirmed', reason: 'fresh attempts confirm the answer', commits: 61, good: GOOD, bad: BAD },
  culprits: [{ commit: CULPRIT, subject: HOSTILE, probability: 0.97 }],
  suspects: [{ commit: CULPRIT, subject: HOSTILE, probability: 0.97 }],
  signature: HOSTILE,
  ends: { good: { failures: 0, attempts: 12 }, bad: { failures: 5, attempts: 12 } },
  rates: { before: 0.004, after: 0.4 },
  confirmation: [{ commit: CULPRIT, failures: 3, attempts: 4 }],
  counts: [
    { commit: BAD, failures: 5, attempts: 12 },
    { commit: GOOD, failures: 0, attempts: 12 },
    { commit: CULPRIT, failures: 6, attempts: 9 },
  ],
  skipped: [{ commit: id(31), reason: HOSTILE }],
  ...{ builds: 9, attempts: 80, ms: 125_000, dir: '/b' },
};
const input = (changed: Partial<BisectionPage> = {}): BisectionPage => ({
  result,
  about: { startedAt: '2026-11-29T13:00:00.000Z', repo: HOSTILE, build: HOSTILE, paths: [HOSTILE] },
  history,
  probabilities: new Map([[CULPRIT, 0.97]]),
  shown: new Set(history.map(({ id: one }) => one)),
  subjects: new Map([[CULPRIT, HOSTILE]]),
  series: [
    {
      name: '0002',
      path: 'runs/0002/report.html',
      purpose: 'ends',
      commit: BAD,
      failures: 5,
      verdicts: 12,
      made: 14,
      ms: 9,
    },
  ],
  environment: [{ name: HOSTILE, value: HOSTILE }],
  ...changed,
});
const page = (changed?: Partial<BisectionPage>) =>
  renderBisection(input(changed), { script: '', style: 'body{}', bisectionStyle: 'p{}' });

describe('the page of a bisection', () => {
  it('names the commit, its attempts with their interval, and the series', () => {
    const text = page();
    expect(text).toContain(`<h1>${CULPRIT.slice(0, 12)} introduced the failure</h1>`);
    expect(text).toMatch(/<b class="badge">culprit<\/b>/);
    expect(text).toContain('<td class="count">6 of 9</td>');
    expect(text).toContain('<a href="runs/0002/report.html">0002</a>');
    expect(text).toContain('5 of 12 failed, 2 without a verdict');
    expect(text.match(/<td class="graph">/g)).toHaveLength(62);
  });

  it('runs no script, and has each mark of hostile text spelled out or escaped, wherever it comes from', () => {
    const text = page();
    const hash = createHash('sha256').update('body{}p{}').digest('base64');
    expect(/Policy" content="([^"]*)"/.exec(text)?.[1]).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; form-action 'none'`,
    );
    expect(text).not.toMatch(/<script|<\/script|<img|<!--|[\u0000-\u0008\u000b-\u001f\u2028-\u202e]/);
    expect(text).not.toMatch(/ style="|(?:src|href)="(?!data:,|runs\/)| on\w+="/);
  });

  it('lists of a long history the ends and what was tried, skipped or is likely', () => {
    const long = graphOrder(Array.from({ length: 5000 }, (_, index) => ({ id: id(index + 1), parents: [id(index)] })));
    const suspects = [{ commit: id(29) }];
    const shown = shownCommits(long, { ...result, bad: id(5000) }, suspects);
    expect([...shown].toSorted()).toEqual([id(29), CULPRIT, id(31), BAD, id(5000)]);
    const text = page({ history: long, shown });
    expect(text).toContain('4995 commits that were not tried are left out');
    expect(text).toContain('21 commits a bar');
    expect(text.length).toBeLessThan(100_000);
  });

  it('has no probabilities when nothing was bisected', () => {
    const text = page({ result: { ...result, state: 'indistinct', reason: 'the rates do not differ', culprits: [] } });
    expect(text).toContain('<h1>Nothing was bisected</h1>');
    expect(text).not.toContain('id="posterior"');
  });
});

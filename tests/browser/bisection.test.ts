import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { graphOrder } from '../../packages/core/src/bisect/report/history-graph.js';
import { renderBisection } from '../../packages/core/src/bisect/report/page.js';
import { loadAssets } from '../../packages/core/src/repro/reports/load-assets.js';
import { launch, openFile } from '../support/chromium.js';

let dir: string;
let context: BrowserContext;
let close: () => Promise<void>;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-bisection-page-'));
  ({ context, close } = await launch());
});
afterAll(async () => {
  await close();
  rmSync(dir, { recursive: true, force: true });
});

const id = (number: number) => number.toString(16).padStart(40, '0');
const HOSTILE =
  '</title></td><img src="http://192.0.2.1/x" onerror="globalThis.evil=1"><svg onload="globalThis.evil=1">';

/** The page of 40 commits, of which 20 merges a branch; 25 is the culprit. */
async function writePage(path: string): Promise<void> {
  const history = graphOrder([
    ...Array.from({ length: 40 }, (_, at) => ({
      id: id(at + 1),
      parents: at + 1 === 20 ? [id(19), id(70)] : [id(at)],
    })),
    { id: id(70), parents: [id(10)] },
  ]);
  const suspect = { commit: id(25), subject: HOSTILE, probability: 0.96 };
  const page = renderBisection(
    {
      result: {
        ...{ v: 1, state: 'confirmed', reason: 'fresh attempts confirm the answer', commits: 41, dir },
        ...{ good: id(0), bad: id(40), culprits: [suspect], suspects: [suspect], signature: HOSTILE },
        ends: { good: { failures: 0, attempts: 12 }, bad: { failures: 5, attempts: 12 } },
        rates: { before: 0.004, after: 0.4 },
        confirmation: [{ commit: id(25), failures: 3, attempts: 4 }],
        counts: [{ commit: id(25), failures: 6, attempts: 9 }],
        skipped: [{ commit: id(24), reason: 'its build ended with exit status 2' }],
        ...{ builds: 9, attempts: 80, ms: 125_000 },
      },
      about: { startedAt: '2026-11-29T13:00:00.000Z', repo: '/repo', build: 'make', paths: [] },
      history,
      probabilities: new Map(history.map((commit) => [commit.id, commit.id === id(25) ? 0.96 : 0.001])),
      shown: new Set(history.map((commit) => commit.id)),
      subjects: new Map([[id(25), HOSTILE]]),
      series: [],
      environment: [],
    },
    await loadAssets(),
  );
  writeFileSync(path, page);
}

it('the page of a bisection shows posterior, history and rates, loads nothing, and fits a phone', async () => {
  const path = join(dir, 'report.html');
  await writePage(path);
  const { page, errors, requests } = await openFile(context, path);
  expect(await page.locator('h1').textContent()).toBe(`${id(25).slice(0, 12)} introduced the failure`);

  // The bar of the culprit is the highest one, and has its colour from the page's own style.
  const heights = await page
    .locator('.posterior .bar')
    .evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().height));
  expect(heights.filter((height) => height > 100)).toHaveLength(1);
  expect(heights).toHaveLength(41);
  const rows = page.locator('.history tbody tr');
  expect(await rows.count()).toBe(42);
  expect(await page.locator('.history .culprit .subject').textContent()).toContain('<img src=');

  // The lines of the graph meet: no space between the rows.
  const graphs = await page
    .locator('.history .graph svg')
    .evaluateAll((all) => all.map((one) => one.getBoundingClientRect()).map(({ top, bottom }) => ({ top, bottom })));
  for (const [index, { top }] of graphs.entries())
    if (index > 0) expect(top).toBeCloseTo(graphs[index - 1]?.bottom ?? 0, 0);

  await page.setViewportSize({ width: 380, height: 800 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(380);
  expect([errors, requests]).toEqual([[], []]);
  expect(await page.evaluate(() => 'evil' in globalThis)).toBe(false);
});

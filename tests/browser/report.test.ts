import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeReport } from '@qmpilot/core/report';
import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whenResult } from '../../packages/core/src/report/when/when.fixture.js';
import { launch, openFile } from '../support/chromium.js';
import { consoleOf, makeRun, type MadeAttempt } from '../support/make-run.js';

const HOSTILE =
  '</script><script>globalThis.evil=1</script><img src="http://192.0.2.1/x" onerror="globalThis.evil=1"><svg onload="globalThis.evil=1">${1}\u2028\u001b]52;c;ZXZpbA==\u0007\u001b[31m\u202eevil';

let dir: string;
let context: BrowserContext;
let close: () => Promise<void>;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-report-page-'));
  ({ context, close } = await launch());
});
afterAll(async () => {
  await close();
  rmSync(dir, { recursive: true, force: true });
});

const event = (value: object) => `${JSON.stringify(value)}\n`;
const typical: readonly MadeAttempt[] = [
  { outcome: 'clean', ms: 40_000, files: consoleOf(40) },
  {
    outcome: 'reproduced',
    ms: 60_000,
    files: {
      ...consoleOf(60),
      'events.jsonl': [
        event({ at: 0, type: 'begin', columns: 80, rows: 24 }),
        event({ at: 10_000, type: 'exec', command: 'uname -r', exitCode: 0, ms: 200 }),
        event({
          at: 30_000,
          type: 'finding',
          finding: { title: 'INFO: task hung in f', severity: 'error', evidence: ['line of second 27'] },
        }),
        event({ at: 40_000, type: 'poweroff', phase: 'units' }),
        event({ at: 59_000, type: 'qmp', event: 'SHUTDOWN', data: { guest: true } }),
      ].join(''),
      'sysrq-w.txt': 'Show Blocked State',
    },
  },
];

describe('report.html in Chromium', () => {
  it('opens the failed attempt, and a click in the timeline goes to the console line and the screen of that moment', async () => {
    const { page, errors, requests } = await openFile(
      context,
      await writeReport([makeRun(join(dir, 'typical'), typical)]),
    );
    await page.locator('#viewer .lanes').waitFor();
    expect(await page.locator('h1').textContent()).toBe('1 of 2 attempts failed');
    expect(await page.locator('#viewer h2').textContent()).toContain('Attempt 2');
    expect(await page.locator('.lines .chosen').textContent()).toContain('line of second 30');

    // The finding was read from an earlier line: that one is shown, not the one of its time.
    await page.locator('.lanes circle.error').click();
    expect(await page.locator('.lines .chosen').textContent()).toContain('line of second 27');
    expect(await page.locator('.caption').textContent()).toContain('INFO: task hung in f');

    const lanes = page.locator('.lanes');
    const box = await lanes.boundingBox();
    await lanes.click({ position: { x: 84 + ((box?.width ?? 0) - 84) * (10.5 / 60), y: 20 } });
    expect(await page.locator('.lines .chosen').textContent()).toContain('line of second 10');
    const screen = await page.locator('.screen').textContent();
    expect(screen).toContain('line of second 10');
    expect(screen).not.toContain('line of second 11');
    expect([errors, requests]).toEqual([[], []]);
  });

  it('shows the console of the moment at which the failure is decided, by a click on the curve', async () => {
    const checkpoints = { list: [{ number: 1, at: 2100, pausedMs: 80, bytes: 1024 }], endedAt: 60_000 };
    const kept = typical.toReversed().map((attempt) => ({ ...attempt, record: { checkpoints } }));
    const run = makeRun(join(dir, 'decided'), kept);
    mkdirSync(join(run, 'attempts/0001/when'));
    const curve = whenResult({ failure: { title: HOSTILE, signature: HOSTILE, at: 8400 } });
    writeFileSync(join(run, 'attempts/0001/when/when.json'), JSON.stringify(curve));
    const { page, errors, requests } = await openFile(context, await writeReport([run]));
    await page.locator('#viewer .lanes').waitFor();
    const section = page.locator('#when');
    expect(await section.textContent()).toContain('Between 4.2 s and 6.3 s the probability rises from 47 % to 100 %.');
    const chosen = page.locator('.lines .chosen');
    await section.locator('rect.rise').click();
    expect(await chosen.textContent()).toContain('line of second 4');
    await section.locator('circle').nth(1).click();
    expect(await chosen.textContent()).toContain('line of second 2');
    await section.getByRole('button', { name: 'Show this moment in attempt 1' }).click();
    expect(await chosen.textContent()).toContain('line of second 4');
    expect(await page.evaluate('globalThis.evil')).toBeUndefined();
    expect([errors, requests]).toEqual([[], []]);
  });

  it('zooms, scrubs back and forth, plays to the end, and goes to the next attempt', async () => {
    const { page, errors } = await openFile(context, await writeReport([makeRun(join(dir, 'moves'), typical)]));
    await page.locator('#viewer .lanes').waitFor();
    const ticks = () => page.locator('.lanes .tick').allTextContents();
    const before = await ticks();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    expect(await ticks()).not.toEqual(before);
    await page.getByRole('button', { name: 'Show the whole attempt' }).click();
    expect(await ticks()).toEqual(before);

    const slider = page.getByRole('slider');
    for (const second of [50, 5, 20]) {
      await slider.fill(String(second * 1000));
      expect(await page.locator('.lines .chosen').textContent()).toContain(`line of second ${second}`);
      expect(await slider.getAttribute('aria-valuetext')).toMatch(/^\d\d?\.\d s of 1:00\.0$|^\d:\d\d\.\d of/);
      expect((await page.locator('.screen').textContent())?.trimEnd()).toMatch(new RegExp(`line of second ${second}$`));
    }
    await page.getByRole('button', { name: 'Speed: 4×' }).click();
    await page.getByRole('button', { name: 'Speed: 16×' }).waitFor();
    await slider.fill('59500');
    await page.getByRole('button', { name: 'Play' }).click();
    await page.locator('.now', { hasText: '1:00.0 of 1:00.0' }).waitFor();

    await page.locator('.strip i').first().click();
    await page.locator('#viewer h2', { hasText: 'Attempt 1' }).waitFor();
    await page.locator('.strip').press('ArrowRight');
    await page.locator('#viewer h2', { hasText: 'Attempt 2' }).waitFor();
    await page.locator('.failure summary').click();
    await page.locator('button.goto').click();
    await page.locator('.now', { hasText: '30.0 s' }).waitFor();
    expect(errors).toEqual([]);
  });

  it('shows 1000 attempts within two seconds, all of them to choose from', async () => {
    const many = Array.from({ length: 1000 }, (_, place): MadeAttempt => ({
      outcome: place % 7 === 0 ? 'reproduced' : place % 50 === 3 ? 'inconclusive' : 'clean',
      ms: 20_000 + place * 10,
      reason: 'QEMU_EXITED: gone',
      ...(place < 40 && { files: consoleOf(60) }),
    }));
    const path = await writeReport([makeRun(join(dir, 'many'), many)]);
    // The best of three: this host may be busy with something else.
    const times: number[] = [];
    for (let round = 0; round < 3 && !times.some((ms) => ms < 2000); round += 1) {
      const begun = performance.now();
      const { page } = await openFile(context, path);
      await page.locator('#viewer .lanes').waitFor();
      times.push(performance.now() - begun);
      await page.close();
    }
    expect(Math.min(...times)).toBeLessThan(2000);
    const { page, errors } = await openFile(context, path);
    expect(await page.locator('.strip i').count()).toBe(1000);
    await page.locator('.strip i').nth(999).click();
    expect(await page.locator('#viewer').textContent()).toContain('attempts/1000/');
    expect(errors).toEqual([]);
  });

  it('runs no code from guest text, wherever the report shows it', async () => {
    const begin = event({ at: 0, type: 'begin', columns: 1e9, rows: -1 });
    const findings = event({
      at: 5,
      type: 'finding',
      finding: { title: HOSTILE, severity: 'error', evidence: [HOSTILE] },
    });
    const files = {
      'console.log': `${HOSTILE}\r\n\u001b[2J\u001b[999;999H${HOSTILE}\u001b]0;x\u0007\ud800`,
      'console.timing': '0 0\n<script> 9\n',
      'screen-start.txt': HOSTILE,
      'sysrq-w.txt': HOSTILE,
      '<img src=x>.txt': HOSTILE,
      'events.jsonl': `${begin}${findings}${event({ at: 6, type: HOSTILE })}${event({ at: 7, type: 'note', text: HOSTILE })}${event({ at: 8, type: 'qmp', event: HOSTILE, data: { [HOSTILE]: 1 } })}{"cut`,
    };
    const run = makeRun(
      join(dir, 'hostile"<b>'),
      [
        { outcome: 'reproduced', ms: 10, title: HOSTILE, files },
        { outcome: 'inconclusive', ms: 10, reason: HOSTILE, files },
      ],
      {
        name: HOSTILE,
        source: { file: HOSTILE, sha256: HOSTILE },
        sessions: [{ end: HOSTILE, message: HOSTILE }],
        facts: { commandLine: [HOSTILE], machine: HOSTILE, guest: { name: HOSTILE } },
      },
    );
    const { page, errors, requests } = await openFile(context, await writeReport([run], join(dir, 'hostile.html')));
    for (const attempt of [0, 1]) {
      await page.locator('.strip i').nth(attempt).click();
      await page.locator('#viewer .lanes').waitFor();
    }
    for (const details of await page.locator('details').all())
      await details.evaluate((one) => one.setAttribute('open', ''));
    expect(
      await page.evaluate(() => ({
        evil: 'evil' in globalThis,
        images: document.images.length,
        scripts: document.scripts.length,
      })),
    ).toEqual({ evil: false, images: 0, scripts: 2 });
    expect(await page.evaluate(() => document.body.innerText)).not.toMatch(/[\u001b\u0007\u202e\u2028]/);
    expect([errors, requests]).toEqual([[], []]);
  });

  it('compares runs, and fits a phone and a dark screen without scrolling sideways', async () => {
    const runs = [
      makeRun(join(dir, 'before'), typical),
      makeRun(
        join(dir, 'after'),
        Array.from({ length: 30 }, () => ({ outcome: 'clean', ms: 40_000 }) as const),
      ),
    ];
    const path = await writeReport(runs, join(dir, 'both.html'));
    const { page, errors } = await openFile(context, path);
    expect(await page.locator('.versus .row').count()).toBe(2);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe('rgb(20, 22, 24)');
    for (const width of [360, 768, 1600]) {
      await page.setViewportSize({ width, height: 800 });
      await page.locator('#viewer .lanes').waitFor();
      // The timeline is redrawn for its width within a frame.
      await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    }
    const open = () => page.locator('#failures details[open]').count();
    expect(await open()).toBe(0);
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    expect(await open()).toBe(1);
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    expect(await open()).toBe(0);
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(
      await page.evaluate(() => [
        getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector('.player') ?? document.body).display,
      ]),
    ).toEqual(['rgb(255, 255, 255)', 'none']);
    expect(errors).toEqual([]);
  });
});

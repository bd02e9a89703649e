import { describe, expect, it } from 'vitest';
import { parseWhen } from '../../run-files/when-file.js';
import { reportData } from '../analysis/report-data.js';
import { HOSTILE, runOf } from '../analysis/run.fixture.js';
import { renderHtml } from '../html/page.js';
import { renderMarkdown } from '../markdown.js';
import { whenSentence } from './describe-when.js';
import { renderWhen } from './render-when.js';
import { whenResult } from './when.fixture.js';

const run = (...when: ReturnType<typeof whenResult>[]) => runOf('rc', { when });
const hostile = whenResult({
  failure: { title: HOSTILE, signature: HOSTILE, at: 8400 },
  points: whenResult().points.map((point) => ({ ...point, mark: HOSTILE })),
  interval: { console: [HOSTILE], events: [{ at: 1, text: HOSTILE }] },
  rise: { from: 3, to: 4, checkpoint: HOSTILE },
  notes: [HOSTILE],
});

describe('the sentence about a curve', () => {
  it.each([
    [{}, 'Between 4.2 s and 6.3 s the probability rises from 47 % to 100 %.'],
    [
      { verdict: 'unconfirmed' },
      'Not confirmed: between 4.2 s and 6.3 s the probability rises from 47 % to 100 % in the forks so far.',
    ],
    [
      { verdict: 'decided', rise: undefined },
      'The failure is decided before the first checkpoint, at 2.1 s: 25 % of its forks fail, as at the last one.',
    ],
    [{ rise: { from: 0, to: 1 } }, 'Between the beginning and 2.1 s the probability rises from 25 % to 25 %.'],
    [{ rise: { from: 4, to: 5 } }, 'Between 6.3 s and 8.4 s the probability rises from 100 % to 100 %.'],
  ] as const)('of %o', (more, sentence) => {
    const { rise, ...rest } = { ...whenResult(), ...more };
    expect(whenSentence({ ...rest, ...(rise && { rise }) })).toBe(sentence);
  });

  it('says that too few forks came to a verdict', () => {
    const { rise: _, ...without } = whenResult({ verdict: 'unconfirmed' });
    expect(whenSentence(without)).toMatch(/too few forks/);
  });
});

it('shows the curve as text, the rise marked, and leaves out checkpoints without forks', () => {
  expect(renderWhen(whenResult()).split('\n')).toEqual([
    'Between 4.2 s and 6.3 s the probability rises from 47 % to 100 %.',
    'attempt 1: both coins are heads, found after 8.4 s; 77 forks',
    '',
    '   0 ms  25 % (11 to 47 %)    begin of all attempts        5 of 20 attempts of the run',
    '  2.1 s  25 % (8.9 to 53 %)   checkpoint 1                 3 of 12 forks',
    '> 4.2 s  47 % (31 to 64 %)    checkpoint 3 (after coin 1)  15 of 32 forks',
    '> 6.3 s  100 % (89 to 100 %)  checkpoint 4 (after coin 2)  32 of 32 forks, 1 without a verdict',
    '  8.4 s  100 %                failure found',
    '',
    'What the attempt did in between:',
    '  4.3 s  command: throw 2 (status 0 after 200 ms)',
    '',
    'Console in between:',
    '  coin 2 shows 1',
    '',
    'checkpoint before: attempts/0001/checkpoints/003',
    '',
    'note: A note.',
    '',
  ]);
});

it('stands in Markdown, in the page with its chart, and in the data', () => {
  const input = run(whenResult());
  const markdown = renderMarkdown(input);
  expect(markdown).toContain('## When it is decided');
  expect(markdown).toContain('| 4.2 s | 47 % (31 to 64 %) | `checkpoint 3 (after coin 1)` | 15 of 32 forks |');
  const page = renderHtml([input], { script: '', style: '' });
  expect(page).toContain('<h2>When it is decided</h2>');
  expect(page).toMatch(/<rect class="rise" x="[\d.]+%" width="[\d.]+%"/);
  expect(page.match(/<circle class="dot"[^>]* r="4" data-run="0" data-attempt="1" data-at="\d+">/g)).toHaveLength(5);
  expect(page).toContain('data-attempt="1" data-at="4200"');
  expect(reportData([input]).runs[0]?.when).toEqual([whenResult()]);
  expect(renderHtml([runOf('rc')], { script: '', style: '' })).not.toContain('When it is decided');
});

it('shows text of the guest and of the scenario as text', () => {
  const page = renderHtml([run(hostile)], { script: '', style: '' });
  expect(page).not.toMatch(/<img|<script>globalThis/);
  for (const text of [page, renderMarkdown(run(hostile)), renderWhen(hostile)])
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});

it('reads when.json, and nothing else', () => {
  const { interval: _, ...without } = whenResult();
  for (const result of [whenResult(), without, hostile]) expect(parseWhen(JSON.stringify(result))).toEqual(result);
  for (const bad of ['', '{', '[]', '{}', JSON.stringify({ ...whenResult(), points: [{}] })])
    expect(parseWhen(bad)).toBeUndefined();
  expect(parseWhen(JSON.stringify({ ...whenResult(), forks: -1 }))).toBeUndefined();
});

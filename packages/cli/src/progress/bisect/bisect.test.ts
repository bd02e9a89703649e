import type { BisectEvent } from '@qmpilot/core/bisect';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { renderBisectEvent } from '../../render/bisect-event.js';
import { renderBisectBlock } from './bisect-block.js';
import { BisectProgress } from './bisect-state.js';

const [BAD, GOOD, OTHER] = ['b', 'a', 'c'].map((digit) => digit.repeat(40)) as [string, string, string];
const size = { columns: 90, rows: 24, color: false };

function blockAfter(events: readonly (readonly [number, BisectEvent])[], now: number, at = size): string[] {
  const state = new BisectProgress();
  for (const [time, event] of events) state.take(event, time);
  return renderBisectBlock(state, now, at).slice(1);
}

const attempts = (commit: string, failures: number, made: number): BisectEvent => ({
  ...{ type: 'attempts', purpose: 'ends', commit, failures, attempts: made },
});
const state = (entropy: number, ms: number, probability: number): BisectEvent => ({
  ...{ type: 'state', suspects: 9, commits: 1024, entropy, builds: 5, ms },
  likeliest: [
    { commit: OTHER, subject: 'take \u001b[31mthe lock', probability },
    { commit: BAD, subject: 'another '.repeat(20), probability: 0.01 },
  ],
});

describe('the live display of a bisection', () => {
  it('shows the attempts at the ends, and a build with the last line of its output', () => {
    const lines = blockAfter(
      [
        [0, attempts(BAD, 2, 5)],
        [0, attempts(GOOD, 0, 5)],
        [0, attempts(BAD, 1, 10)],
        [1000, { type: 'building', commit: OTHER }],
        [2000, { type: 'build-output', commit: OTHER, line: '  CC  io_uring.o' }],
      ],
      63_000,
    );
    expect(lines).toEqual([
      'Do the ends differ? failed: bad 3 of 15, good 0 of 5',
      'building cccccccccccc 1:02    CC  io_uring.o',
    ]);
  });

  it('shows what is left of the search, the most likely commits, and the time left at the pace so far', () => {
    const lines = blockAfter(
      [
        [0, state(10, 60_000, 0.02)],
        [0, state(5, 120_000, 0.5)],
        [0, { type: 'building', commit: OTHER }],
        [0, { type: 'built', commit: OTHER }],
        [0, { type: 'series', purpose: 'confirmation', commit: OTHER, wanted: 4 }],
        [0, { type: 'run', commit: OTHER, event: { type: 'run', dir: 'd', attempts: 4, todo: 4, done: [] } }],
        [0, { type: 'run', commit: OTHER, event: { type: 'attempt-started', index: 1, fork: 1 } }],
      ],
      1000,
    );
    expect(lines.slice(0, 5)).toEqual([
      '████████████░░░░░░░░░░░░ 9 of 1024 commits left, 5.0 bits',
      '5 builds, 2:00, about 1:00 until one commit is left',
      '    50 % cccccccccccc take \\x1b[31mthe lock',
      expect.stringMatching(/^ {3}1\.0 % bbbbbbbbbbbb another another/),
      'confirming cccccccccccc',
    ]);
    expect(lines[5]).toContain('0 of 4 attempts');
  });

  it('names kernels by their whole packages, which begin alike', () => {
    const [good, bad] = [49, 50].map((abi) => `linux-image-6.1.0-${abi}-cloud-amd64`) as [string, string];
    const known: BisectEvent = {
      ...{ type: 'state', suspects: 2, commits: 9, entropy: 1, builds: 4, ms: 60_000 },
      likeliest: [
        { commit: bad, subject: '6.1.176-1', probability: 0.6 },
        { commit: good, subject: '6.1.174-1', probability: 0.4 },
      ],
    };
    const tried: BisectEvent = { type: 'attempts', purpose: 'search', commit: bad, failures: 1, attempts: 2 };
    expect(blockAfter([[0, known]], 0).slice(0, 4)).toEqual([
      '████████████████░░░░░░░░ 2 of 9 kernels left, 1.0 bits',
      '4 builds, 1:00',
      `    60 % ${bad} 6.1.176-1`,
      `    40 % ${good} 6.1.174-1`,
    ]);
    expect(renderBisectEvent(known)).toBe(`2 of 9 kernels left, 1.0 bits; most likely: 60 % ${bad}`);
    expect(renderBisectEvent(tried)).toBe(`kernel ${bad}: 1 of 2 attempts failed`);
    expect(renderBisectEvent({ type: 'building', commit: bad, ahead: true })).toBe(`building ${bad} ahead`);
  });

  it.each([20, 60, 80])('fits %d columns and few rows', (columns) => {
    const events: [number, BisectEvent][] = [
      [0, state(5, 1, 0.5)],
      [0, { type: 'building', commit: OTHER }],
      [0, { type: 'build-output', commit: OTHER, line: '\u001b[2J'.repeat(50) }],
      [0, { type: 'series', purpose: 'search', commit: OTHER, wanted: 4 }],
    ];
    const lines = blockAfter(events, 1000, { columns, rows: 6, color: true });
    expect(lines.length).toBeLessThan(6);
    for (const text of lines) expect(stringWidth(text)).toBeLessThan(columns);
  });
});

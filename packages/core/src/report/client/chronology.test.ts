import { describe, expect, it } from 'vitest';
import { timeTicks } from '../html/time-ticks.js';
import { panned, zoomed } from './axis.js';
import { lanesOf } from './chronology.js';

describe('lanesOf', () => {
  it('puts events on their lanes, spans up to their end, and phases up to the next one', () => {
    const lanes = lanesOf(
      [
        { at: 50, type: 'qmp', event: 'RESUME', data: {} },
        { at: 900, type: 'exec', command: 'uname', exitCode: 0, ms: 100 },
        { at: 950, type: 'exec', command: 'false', exitCode: 1, ms: 10 },
        { at: 960, type: 'typed', into: 'console', text: 'npm ci\n' },
        { at: 970, type: 'typed', into: 'keyboard', keys: ['C-b', 'd'] },
        { at: 980, type: 'typed', into: 'console' },
        {
          at: 1000,
          type: 'finding',
          finding: { title: 'hung', severity: 'error', evidence: ['INFO: task x blocked', 'short'] },
        },
        { at: 1100, type: 'poweroff', phase: 'requested' },
        { at: 1200, type: 'poweroff', phase: 'units' },
        { at: 1300, type: 'note', text: 'a\u202eb' },
        { at: 1400, type: 'attached', name: 'sysrq-w.txt', bytes: 5 },
      ],
      2000,
    );
    expect(lanes).toEqual([
      { name: 'QMP', items: [{ from: 50, to: 50, label: 'RESUME ', tone: 'plain' }] },
      {
        name: 'Commands',
        items: [
          { from: 800, to: 900, label: 'uname → exit 0', tone: 'plain' },
          { from: 940, to: 950, label: 'false → exit 1', tone: 'warning' },
        ],
      },
      {
        name: 'Keys',
        items: [
          { from: 960, to: 960, label: String.raw`typed "npm ci\n"`, tone: 'info' },
          { from: 970, to: 970, label: 'pressed C-b d on the keyboard', tone: 'info' },
          { from: 980, to: 980, label: 'typed a secret', tone: 'info' },
        ],
      },
      {
        name: 'Findings',
        items: [{ from: 1000, to: 1000, label: 'hung', tone: 'error', lines: ['INFO: task x blocked'] }],
      },
      {
        name: 'Shutdown',
        items: [
          { from: 1100, to: 1200, label: 'poweroff: requested', tone: 'plain' },
          { from: 1200, to: 2000, label: 'poweroff: units', tone: 'plain' },
        ],
      },
      {
        name: 'Notes',
        items: [
          { from: 1300, to: 1300, label: 'a\\u202eb', tone: 'plain' },
          { from: 1400, to: 1400, label: 'kept sysrq-w.txt', tone: 'info' },
        ],
      },
    ]);
  });

  it('passes over events that it does not know or that have no time', () => {
    expect(lanesOf([{ type: 'qmp' }, { at: 'x', type: 'note' }, { at: 1, type: 'new-kind' }, { at: 1 }], 10)).toEqual(
      [],
    );
  });
});

describe('the axis', () => {
  it('keeps the moment under the pointer where it is, and never leaves the attempt', () => {
    expect(zoomed({ from: 0, to: 1000 }, 0.5, 250, 1000)).toEqual({ from: 125, to: 625 });
    expect(zoomed({ from: 900, to: 1000 }, 4, 1000, 1000)).toEqual({ from: 600, to: 1000 });
    expect(zoomed({ from: 0, to: 1000 }, 8, 500, 1000)).toEqual({ from: 0, to: 1000 });
    expect(panned({ from: 100, to: 300 }, -500, 1000)).toEqual({ from: 0, to: 200 });
    expect(panned({ from: 100, to: 300 }, 5000, 1000)).toEqual({ from: 800, to: 1000 });
  });

  it('has round times for ticks', () => {
    expect(timeTicks(0, 74_000, 8)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 70_000]);
    expect(timeTicks(1150, 1450, 4)).toEqual([1200, 1300, 1400]);
  });
});

import { EventEmitter } from 'node:events';
import type { AttemptRecord, DStateFinding, Finding, RunEvent } from '@qmpilot/core';
import stringWidth from 'string-width';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LiveBlock } from './live-block.js';
import { renderBlock } from './progress-block.js';
import { ProgressState } from './progress-state.js';

const bug: Finding = { kind: 'bug', severity: 'error', title: 'kernel BUG in f', signature: 'b', at: 1, evidence: [] };
const stuck = {
  kind: 'd-state',
  severity: 'error',
  title: 'D state: npm ci',
  signature: 'd',
  at: 1,
  evidence: [],
  task: { comm: 'npm ci', pid: 9 },
  stuckMs: 14_000,
} as unknown as DStateFinding;
const record = (index: number, outcome: AttemptRecord['outcome']): AttemptRecord => ({
  v: 1,
  type: 'attempt',
  index,
  outcome,
  startedAt: '',
  ms: 1,
  restoreMs: 1,
  seed: 1,
  findings: [],
});

function stateAfter(...events: readonly [number, RunEvent][]): ProgressState {
  const state = new ProgressState();
  for (const [at, event] of events) state.take(event, at);
  return state;
}

const begin: readonly [number, RunEvent][] = [
  [0, { type: 'run', dir: 'd', attempts: 12, todo: 10, done: [record(1, 'clean'), record(2, 'reproduced')] }],
  [0, { type: 'forks', forks: 4, reason: '' }],
  ...[3, 4, 5, 6].map((index): [number, RunEvent] => [1000, { type: 'attempt-started', index, fork: index - 2 }]),
];
const size = { columns: 90, rows: 24, color: false };

describe('the live display', () => {
  it('says what happens before the first attempt', () => {
    expect(renderBlock(stateAfter([0, { type: 'progress', message: 'making the image\nmore' }]), 1, size)).toEqual([
      '· making the image',
    ]);
  });

  it('shows each fork, the rate with its interval, the time left, and the last finding', () => {
    const state = stateAfter(
      ...begin,
      ...[4, 5, 6].map((index): [number, RunEvent] => [2000, { type: 'restored', index, ms: 40 }]),
      [20_000, { type: 'finding', index: 5, finding: stuck }],
      [21_000, { type: 'poweroff', index: 6, phase: 'requested', timeoutMs: 90_000 }],
      [22_000, { type: 'poweroff', index: 6, phase: 'units', timeoutMs: 90_000 }],
      [61_000, { type: 'attempt', record: record(4, 'clean') }],
      [61_000, { type: 'attempt-started', index: 7, fork: 2 }],
      [62_000, { type: 'restored', index: 7, ms: 40 }],
    );
    expect(renderBlock(state, 63_000, size).slice(1)).toEqual([
      `${'█'.repeat(6)}${'░'.repeat(18)} 3 of 12 attempts, about 9:18 left`,
      '1 reproduced, 2 clean   rate 33 % (95 %: 6.1 % to 79 %)',
      '  fork 1  attempt 3  restoring',
      '  fork 2  attempt 7  running 1 s',
      '  fork 3  attempt 5  stuck 57 s',
      '  fork 4  attempt 6  powering off 0:42 of 1:30',
      'last finding: attempt 5: D state: npm ci, at 0.0 s',
    ]);
  });

  it('keeps a failure in sight, and does not call a fork that powers off stuck', () => {
    const state = stateAfter(
      ...begin,
      [2000, { type: 'restored', index: 3, ms: 1 }],
      [3000, { type: 'finding', index: 3, finding: bug }],
      [3000, { type: 'poweroff', index: 4, phase: 'units', timeoutMs: 90_000 }],
      [4000, { type: 'finding', index: 4, finding: stuck }],
    );
    expect(state.forks.map(({ phase }) => phase)).toEqual(['failed', 'powering off', 'restoring', 'restoring']);
  });

  it.each([
    [10, 4],
    [20, 6],
    [1, 1],
    [200, 50],
  ])('fits a terminal of %i columns and %i rows', (columns, rows) => {
    const state = stateAfter(...begin, [
      5,
      { type: 'finding', index: 3, finding: { ...bug, title: '漢字'.repeat(50) } },
    ]);
    const lines = renderBlock(state, 9000, { columns, rows, color: false });
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
    for (const line of lines) expect(stringWidth(line)).toBeLessThan(columns);
  });

  it('colours nothing when it is told so', () => {
    const state = stateAfter(...begin);
    expect(renderBlock(state, 9000, size).join('')).not.toContain('\u001b');
    expect(renderBlock(state, 9000, { ...size, color: true }).join('')).toContain('\u001b[');
  });
});

class FakeTerminal extends EventEmitter {
  columns = 20;
  rows = 10;
  text = '';
  write(text: string): boolean {
    this.text += text;
    return true;
  }
  take(): string {
    const { text } = this;
    this.text = '';
    return text;
  }
}

describe('the block at the bottom', () => {
  afterEach(() => vi.restoreAllMocks());

  it('is taken away before lines above it, and redrawn below them', () => {
    const terminal = new FakeTerminal();
    const block = new LiveBlock(terminal, () => ['one', 'two']);
    expect(terminal.take()).toBe('\u001b[?25lone\ntwo\n');
    block.above('line\n');
    expect(terminal.take()).toBe('\r\u001b[2A\u001b[Jline\n\u001b[?25lone\ntwo\n');
    block.close();
    expect(terminal.take()).toBe('\r\u001b[2A\u001b[J\u001b[?25h');
  });

  it('erases the rows that its lines take when the terminal has become narrower', () => {
    const terminal = new FakeTerminal();
    const block = new LiveBlock(terminal, (columns) => ['x'.repeat(columns - 1)]);
    terminal.take();
    terminal.columns = 10;
    terminal.emit('resize');
    expect(terminal.take()).toBe(`\u001b[?25l\r\u001b[2A\u001b[J${'x'.repeat(9)}\n`);
    block.close();
  });

  it('gives the cursor back once, listens to nothing afterwards, and draws no more', () => {
    const before = ['exit', 'SIGCONT', 'SIGTSTP'].map((name) => process.listenerCount(name));
    const terminal = new FakeTerminal();
    const block = new LiveBlock(terminal, () => ['one']);
    block.close();
    terminal.take();
    block.close();
    terminal.emit('resize');
    block.above('after\n');
    expect(terminal.take()).toBe('after\n');
    expect([
      terminal.listenerCount('resize'),
      ...['exit', 'SIGCONT', 'SIGTSTP'].map((name) => process.listenerCount(name)),
    ]).toEqual([0, ...before]);
  });
});

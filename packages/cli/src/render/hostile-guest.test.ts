import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QmpilotError, type AttemptRecord, type Finding, type RunEvent, type RunSummary } from '@qmpilot/core';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerScan } from '../commands/scan/scan.js';
import { renderBlock } from '../progress/progress-block.js';
import { ProgressState } from '../progress/progress-state.js';
import { renderError } from './errors.js';
import { githubAnnotations } from './github.js';
import { GuestLog } from './guest-log.js';
import { renderJson } from './json.js';
import { renderEvent } from './run-event.js';
import { renderSummary } from './summary.js';
import { visible } from './text/visible.js';

/** Clipboard, title, hyperlink, a question to the terminal, a reset, DCS, and the same by C1 controls, a bell, and a turn of the text's direction. */
const ATTACKS = [
  '\u001b]52;c;ZXZpbA==\u0007',
  '\u001b]0;title\u001b\\',
  '\u001b]8;;https://evil.example\u001b\\click\u001b]8;;\u001b\\',
  '\u001b[6n',
  '\u001bc',
  '\u001bP+q544e\u001b\\',
  '\u009d52;c;ZXZpbA==\u009c',
  '\u009b6n',
  '\u0090$q\u009c',
  '\u0007',
  '\u0008\u0008',
  '\u202egpj.exe\u202c',
  '\u061c',
  'a\u200b\u2028\u{e0041}b',
  '\r::error::forged',
  '\u007f',
];
const HOSTILE = ATTACKS.join(' ');
const finding: Finding = {
  kind: 'bug',
  severity: 'error',
  title: HOSTILE,
  signature: HOSTILE,
  at: 1,
  evidence: [HOSTILE],
  task: { comm: HOSTILE, pid: 1 },
};
const record: AttemptRecord = {
  v: 1,
  type: 'attempt',
  index: 1,
  outcome: 'inconclusive',
  reason: HOSTILE,
  startedAt: '',
  ms: 1,
  restoreMs: 1,
  seed: 1,
  findings: [{ ...finding, times: 1 }],
};
const summary: RunSummary = {
  v: 1,
  type: 'summary',
  attempts: 1,
  reproduced: 1,
  clean: 0,
  inconclusive: 0,
  threw: 0,
  rate: 1,
  interval: [0, 1],
  medianTimeToFailureMs: 1,
  failures: [
    {
      signature: HOSTILE,
      title: HOSTILE,
      attempts: 1,
      symptoms: [{ signature: HOSTILE, title: HOSTILE, attempts: 1 }],
    },
  ],
  dir: '/runs/x',
};
const facts = {
  qemu: { path: '', version: '' },
  accelerator: { accelerator: 'tcg', reason: '' },
  machine: 'q35',
  cpu: '',
  cpus: 1,
  memoryMiB: 1,
  guest: { name: HOSTILE, key: '', kernelRelease: HOSTILE },
  commandLine: [],
} as const;
const EVENTS: readonly RunEvent[] = [
  { type: 'run', dir: '', attempts: 2, todo: 2, done: [] },
  { type: 'progress', message: HOSTILE },
  { type: 'booted', facts, ms: 1 },
  { type: 'attempt-started', index: 1, fork: 1 },
  { type: 'note', index: 1, text: HOSTILE },
  { type: 'finding', index: 1, finding },
  { type: 'attempt', record },
];

/** What no terminal may get: C0 but line feed and tab, DEL, C1, what is invisible or turns the direction of text. Colours of our own are allowed where they are said. */
function expectHarmless(text: string, ownColours = false): void {
  const rest = ownColours ? text.replaceAll(/\u001b\[\d*m/g, '') : text;
  expect(rest).not.toMatch(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\u{e0000}-\u{e007f}]/u,
  );
  expect(rest).not.toMatch(/^::error::forged/m);
}

afterEach(() => vi.restoreAllMocks());

describe('what a hostile guest prints', () => {
  it('is escaped in the lines of a run', () => {
    for (const parallel of [true, false])
      for (const event of EVENTS) expectHarmless(renderEvent(event, 2, parallel) ?? '');
  });

  it.each([20, 80, 1000])('is escaped in the live block, %i columns wide', (columns) => {
    const state = new ProgressState();
    for (const event of EVENTS) {
      state.take(event, 1);
      expectHarmless(renderBlock(state, 2, { columns, rows: 24, color: true }).join('\n'), true);
    }
  });

  it('reaches no terminal by the summary, an error, the evidence of one, or annotations', () => {
    expectHarmless(renderSummary(summary));
    expectHarmless(
      renderError(
        new QmpilotError('SCENARIO', HOSTILE, { hint: HOSTILE, evidence: { console: [HOSTILE], stderr: [HOSTILE] } }),
      ),
    );
    expectHarmless(renderError(new Error(HOSTILE)));
    expectHarmless(githubAnnotations(HOSTILE, summary));
  });

  it('is escaped in logs, also across chunks', () => {
    const bytes = Buffer.from(`${HOSTILE}\nnext\n`);
    for (let size = 1; size < bytes.length; size += 3) {
      const log = new GuestLog();
      let text = '';
      for (let at = 0; at < bytes.length; at += size) text += log.push(bytes.subarray(at, at + size));
      expectHarmless(text + log.end());
    }
  });

  it('is escaped in JSON, which a parser reads back unchanged', () => {
    const text = renderJson(record, false);
    expectHarmless(text);
    expect(JSON.parse(text)).toEqual(record);
  });

  it('reaches no terminal by a screen', () => expectHarmless(visible(HOSTILE)));

  it.each([[[]], [['--json']]])('is escaped in the output of scan %j', async (options) => {
    const dir = mkdtempSync(join(tmpdir(), 'qmpilot-hostile-'));
    let out = '';
    for (const stream of [process.stdout, process.stderr])
      vi.spyOn(stream, 'write').mockImplementation((text) => ((out += String(text)), true));
    try {
      writeFileSync(
        join(dir, 'log'),
        `${ATTACKS.map((attack) => `[    1.000000] BUG: ${attack} unable to handle ${attack} page fault\n[    1.000001] INFO: task ${attack}:12 blocked for more than 122 seconds.`).join('\n')}\n`,
      );
      const program = new Command().exitOverride();
      registerScan(program);
      await program.parseAsync(['scan', ...options, join(dir, 'log')], { from: 'user' });
      expect(out).not.toBe('');
      expectHarmless(out);
    } finally {
      process.exitCode = undefined;
      rmSync(dir, { recursive: true });
    }
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineScenario, isQmpilotError, parseDuration } from '@qmpilot/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportData } from '../../../packages/core/src/report/analysis/report-data.js';
import { renderHtml } from '../../../packages/core/src/report/html/page.js';
import { toJUnit } from '../../../packages/core/src/report/junit.js';
import { renderMarkdown } from '../../../packages/core/src/report/markdown.js';
import { describeRunFile } from '../../../packages/core/src/report/wording/run-description.js';
import { parseAttempts, salvageAttempts } from '../../../packages/core/src/run-files/attempts-file.js';
import { parseRunFile, parseShard, salvageRunFile } from '../../../packages/core/src/run-files/run-file.js';
import { readManifest } from '../../../packages/core/src/snapshot/saved/manifest.js';
import { parseRateGoal } from '../../../packages/core/src/statistics/rate-goal.js';
import { guestOf } from '../../../packages/core/src/vm/snapshots/guest-record.js';
import { damaged } from '../../support/fuzz/damaged.js';
import { fuzz, LIMIT, onlyFamily } from '../../support/fuzz/parameters.js';

const RUN = {
  v: 1,
  name: 'x',
  startedAt: '2026-01-01T00:00:00.000Z',
  seed: 1,
  attempts: 9,
  shard: { index: 1, count: 2 },
  timeoutMs: 1,
  until: 'rate<0.01@95%',
  source: { file: 'f', sha256: 's' },
  environment: { qmpilot: '1', node: '20' },
  facts: {
    qemu: { path: 'q', version: '7.2' },
    accelerator: { accelerator: 'tcg', reason: 'r' },
    machine: 'q35',
    cpus: 1,
    memoryMiB: 1,
    guest: { name: 'g', key: 'k' },
    commandLine: ['q'],
  },
  sessions: [{ startedAt: '2026-01-01T00:00:00.000Z', pid: 1, forks: 1, end: 'finished' }],
};
const RECORD = {
  v: 1,
  type: 'attempt',
  index: 1,
  outcome: 'reproduced',
  reason: 'r',
  startedAt: '2026-01-01T00:00:00.000Z',
  ms: 5,
  restoreMs: 1,
  timeToFailureMs: 2,
  seed: 1,
  fork: 1,
  findings: [
    {
      kind: 'hung-task',
      severity: 'error',
      title: 't',
      signature: 's',
      at: 2,
      evidence: ['e'],
      times: 1,
      task: { comm: 'c', pid: 1 },
      stack: [{ function: 'f', raw: 'f' }],
    },
  ],
};

describe('whatever is in a run directory', () => {
  it(
    'is read with an error of the family at most, and reported without a script of its own',
    async () => {
      const lines = fc
        .array(damaged(RECORD), { maxLength: 4 })
        .map((records) => records.map((record) => JSON.stringify(record)).join('\n'));
      await fuzz(
        fc.property(damaged(RUN), fc.oneof(lines, fc.string({ unit: 'binary' })), (run, text) => {
          const [json, bytes] = [JSON.stringify(run) ?? '', Buffer.from(`${text}\n`)];
          onlyFamily(() => {
            const file = parseRunFile(json, 'run.json');
            toJUnit(file, parseAttempts(bytes, 'attempts.jsonl').records);
          });
          const input = {
            label: 'l',
            dir: '/d',
            run: describeRunFile(salvageRunFile(json), 'x'),
            attempts: salvageAttempts(text).attempts,
            evidence: new Map(),
            folder: () => 'a/',
            notes: [],
          };
          const page = renderHtml([input], { script: '', style: '' });
          expect(page.match(/<script/g)?.length ?? 0).toBeLessThanOrEqual(2);
          expect(page).not.toMatch(/<img|<script>alert|onerror=alert\(1\)>|[\u202e\u001b]/);
          expect(renderMarkdown(input)).not.toMatch(/[\u202e\u001b]/);
          JSON.stringify(reportData([input]));
        }),
      );
    },
    LIMIT,
  );
});

describe('whatever a user writes', () => {
  it(
    'in a scenario, a duration, a shard or a goal is taken or refused by an error of the family',
    async () => {
      const scenario = fc.oneof(
        fc.anything(),
        fc.record(
          {
            guest: fc.oneof(fc.constant({ prepare: () => {} }), fc.anything()),
            attempt: fc.oneof(fc.func(fc.anything()), fc.anything()),
            prepare: fc.anything(),
          },
          { requiredKeys: [] },
        ),
      );
      const text = fc.oneof(
        fc.string(),
        fc
          .array(
            fc.constantFrom(
              '1',
              '9',
              '0',
              '.',
              '-',
              '/',
              's',
              'm',
              'ms',
              'h',
              'rate',
              '<',
              '>',
              '@',
              '%',
              'e',
              ' ',
              'Infinity',
            ),
            { maxLength: 10 },
          )
          .map((parts) => parts.join('')),
      );
      await fuzz(
        fc.property(scenario, text, fc.double(), (given, word, number) => {
          onlyFamily(() => defineScenario(given as never));
          onlyFamily(() => expect(parseDuration(word)).toBeGreaterThanOrEqual(0));
          onlyFamily(() => expect(parseDuration(number)).toBeGreaterThanOrEqual(0));
          onlyFamily(() => {
            const { index, count: shards } = parseShard(word);
            expect(index).toBeLessThanOrEqual(shards);
          });
          onlyFamily(() => {
            const { rate } = parseRateGoal(word);
            expect(rate > 0 && rate < 1).toBe(true);
          });
        }),
      );
    },
    LIMIT,
  );
});

const MANIFEST = {
  v: 1,
  name: 'ready',
  strategy: 'template',
  reason: 'r',
  savedAt: '2026-01-01T00:00:00.000Z',
  pausedMs: 1,
  qemu: '7.2.0',
  machineType: 'pc-q35-7.2',
  accelerator: { accelerator: 'tcg', reason: 'r' },
  hostFlags: [],
  mappedRam: false,
  spec: {
    accelerator: 'tcg',
    machine: 'q35',
    cpu: 'max',
    cpus: 1,
    memoryMiB: 128,
    ram: { kind: 'file', path: 'ram', share: false },
    disks: [{ id: 'disk', file: 'disk.qcow2', format: 'qcow2' }],
    virtioConsoles: [],
    network: 'none',
    extra: [],
  },
  guest: {
    name: 'tiny',
    key: 'k',
    disks: [],
    virtioConsoles: [],
    login: { source: 'x', flags: '' },
    network: 'none',
    cpus: 1,
    memoryMiB: 1,
  },
  files: [
    { name: 'state', bytes: 3 },
    { name: 'ram', bytes: 3 },
  ],
  bases: [{ path: '/nowhere', bytes: 1, mtimeMs: 1, sha256: 's' }],
};

describe('whatever is in the folder of a saved snapshot', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-fuzz-'));
    for (const name of ['state', 'ram']) writeFileSync(join(dir, name), 'abc');
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it(
    'is refused by an error of the family, or names no file outside of it',
    async () => {
      const text = fc.oneof(
        { weight: 5, arbitrary: damaged(MANIFEST).map((value) => JSON.stringify(value)) },
        { weight: 1, arbitrary: fc.string() },
      );
      await fuzz(
        fc.asyncProperty(text, async (manifest) => {
          writeFileSync(join(dir, 'manifest.json'), manifest);
          try {
            const read = await readManifest(dir);
            for (const { name } of read.files) expect(name).toMatch(/^[\w.-]+$/);
            for (const { file, readOnly } of read.spec.disks)
              expect(readOnly === true || !file.includes('/')).toBe(true);
            guestOf(read.guest);
          } catch (error) {
            if (!isQmpilotError(error, 'SNAPSHOT') && !isQmpilotError(error, 'NOT_FOUND')) throw error;
          }
        }),
      );
    },
    LIMIT,
  );
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAttemptLines, parseFinding, parseRunDescription } from './parse-run.js';
import { attempt } from './run.fixture.js';

describe('parseAttemptLines', () => {
  it('takes each index once, in order, and counts what is no attempt, a last line that was cut off included', () => {
    const lines = [attempt(3, 'r'), attempt(1, 'c'), attempt(3, 'c')].map((record) => JSON.stringify(record));
    const text = [
      lines[0],
      'garbage',
      lines[1],
      '{"index":2}',
      lines[2],
      JSON.stringify(attempt(4, 'c')).slice(0, 40),
    ].join('\n');
    const { attempts, damaged } = parseAttemptLines(text);
    expect(attempts.map(({ index, outcome }) => [index, outcome])).toEqual([
      [1, 'clean'],
      [3, 'reproduced'],
    ]);
    expect(damaged).toBe(3);
  });

  it('never throws, whatever JSON the lines are', () => {
    const nearly = fc.record({
      index: fc.oneof(fc.integer(), fc.jsonValue()),
      outcome: fc.constantFrom('clean', 'reproduced', 'x', null),
      findings: fc.oneof(
        fc.jsonValue(),
        fc.array(
          fc.record({
            title: fc.string(),
            severity: fc.jsonValue(),
            task: fc.jsonValue(),
            stack: fc.jsonValue(),
            evidence: fc.jsonValue(),
          }),
        ),
      ),
      ms: fc.jsonValue(),
      reason: fc.jsonValue(),
    });
    fc.assert(
      fc.property(fc.array(nearly), (values) => {
        for (const { index, findings, ms } of parseAttemptLines(values.map((value) => JSON.stringify(value)).join('\n'))
          .attempts) {
          expect(index).toBeGreaterThanOrEqual(1);
          expect(ms).toBeGreaterThanOrEqual(0);
          for (const { title, evidence } of findings)
            expect([typeof title, Array.isArray(evidence)]).toEqual(['string', true]);
        }
      }),
    );
  });
});

describe('parseFinding', () => {
  it('keeps what particular findings say, and mends the rest', () => {
    expect(parseFinding({ title: 't', unit: 'user@0.service', stack: [{ raw: 'f+1' }, 3], task: { comm: 1 } })).toEqual(
      {
        title: 't',
        signature: 't',
        kind: 'unknown',
        severity: 'error',
        at: 0,
        unit: 'user@0.service',
        stack: [{ function: '?', raw: 'f+1' }],
        evidence: [],
        times: 1,
      },
    );
    expect(parseFinding({ signature: 'no title' })).toBeUndefined();
  });
});

describe('parseRunDescription', () => {
  it('reads what run.json says of the machine', () => {
    const text = JSON.stringify({
      v: 1,
      name: 'n',
      seed: 5,
      attempts: 10,
      shard: { index: 2, count: 5 },
      sessions: [{ end: 'interrupted', forks: 2 }],
      source: { file: 'a.repro.ts', sha256: 'ab' },
      facts: {
        qemu: { version: '7.2', path: '/q' },
        accelerator: { accelerator: 'tcg', reason: 'no KVM' },
        machine: 'q35',
        cpu: 'max',
        cpus: 2,
        memoryMiB: 512,
        guest: { name: 'g', kernelRelease: '6.1' },
        commandLine: ['q', '-S'],
      },
    });
    const run = parseRunDescription(text, 'folder');
    expect(run).toMatchObject({
      name: 'n',
      shard: { index: 2, count: 5 },
      kernel: '6.1',
      commandLine: ['q', '-S'],
      sessions: [{ end: 'interrupted', forks: 2 }],
    });
    expect(Object.fromEntries(run.environment.map(({ name, value }) => [name, value]))).toMatchObject({
      'QEMU': '7.2 (/q)',
      'Accelerator': 'TCG: no KVM',
      'Machine': 'q35, max CPU, 2 vCPUs, 512 MiB',
      'Parallel forks': '2',
      'Seed': '5',
    });
  });

  it('makes do with nothing, and never throws', () => {
    expect(parseRunDescription('', 'folder')).toMatchObject({
      name: 'folder',
      environment: [],
      commandLine: [],
      sessions: [],
    });
    const keys = ['name', 'facts', 'source', 'shard', 'sessions', 'environment', 'attempts'] as const;
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()), (value) => {
        expect(typeof parseRunDescription(JSON.stringify(value), 'folder').name).toBe('string');
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAttempts, salvageAttempts, salvageFinding } from './attempts-file.js';

const OUTCOMES = { r: 'reproduced', c: 'clean' } as const;
const attempt = (index: number, letter: keyof typeof OUTCOMES) => ({
  v: 1,
  type: 'attempt',
  index,
  outcome: OUTCOMES[letter],
  ms: 1,
  findings: [],
});

describe('salvageAttempts', () => {
  it('takes each index once, in order, and counts lines that are not valid, a last line that was cut off included', () => {
    const lines = [attempt(3, 'r'), attempt(1, 'c'), attempt(3, 'c')].map((record) => JSON.stringify(record));
    const text = [
      lines[0],
      'garbage',
      lines[1],
      '{"index":2}',
      lines[2],
      JSON.stringify(attempt(4, 'c')).slice(0, 40),
    ].join('\n');
    const { attempts, damaged } = salvageAttempts(text);
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
        for (const { index, findings, ms } of salvageAttempts(values.map((value) => JSON.stringify(value)).join('\n'))
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

describe('salvageFinding', () => {
  it('keeps what particular findings say, and completes the rest', () => {
    expect(
      salvageFinding({ title: 't', unit: 'user@0.service', stack: [{ raw: 'f+1' }, 3], task: { comm: 1 } }),
    ).toEqual({
      title: 't',
      signature: 't',
      kind: 'unknown',
      severity: 'error',
      at: 0,
      unit: 'user@0.service',
      stack: [{ function: '?', raw: 'f+1' }],
      evidence: [],
      times: 1,
    });
    expect(salvageFinding({ signature: 'no title' })).toBeUndefined();
  });
});

describe('parseAttempts', () => {
  it('names the line that is not a valid record', () => {
    const lines = [attempt(1, 'c'), { ...attempt(2, 'r'), findings: [{ title: 'no kind' }] }];
    const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect(() => parseAttempts(bytes, 'run/attempts.jsonl')).toThrow(
      'run/attempts.jsonl:2: not a valid attempt record',
    );
  });
});

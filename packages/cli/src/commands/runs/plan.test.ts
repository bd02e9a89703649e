import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createProgram } from '../../program.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-plan-test-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function plan(...args: readonly string[]): Promise<string> {
  let stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((stdout += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    await createProgram('1').parseAsync(['plan', ...args], { from: 'user' });
  } finally {
    vi.restoreAllMocks();
  }
  return stdout;
}

it('says how many clean attempts a known rate needs, watched or not, and how long they take', async () => {
  expect(await plan('--rate', '3%', '--confidence', '0.99', '--attempt-time', '90s', '--forks', '2')).toBe(
    `152 clean attempts without a failure
  a failure in 3 % of attempts would not occur in any of them with a probability of 0.98 %
  if the run may stop after each attempt (--until 'rate<0.03@99%'): 164
  at 1 min 30 s each, 2 at a time: 1 h 54 min
`,
  );
});

it('takes a counted rate for what it is worth', async () => {
  expect(await plan('--before', '6/10')).toMatch(/^5 clean attempts.*\n {2}after 6 failures in 10 attempts/);
  expect(JSON.parse(await plan('--before', '1/20', '--json'))).toMatchObject({
    v: 1,
    type: 'plan',
    cleanAttempts: 380,
    confidence: 0.95,
  });
});

it('reads rate and time from a run', async () => {
  const line = (index: number, outcome: string) =>
    JSON.stringify({ v: 1, type: 'attempt', index, outcome, ms: 9000, restoreMs: 1000, findings: [] });
  writeFileSync(
    join(dir, 'attempts.jsonl'),
    [line(1, 'reproduced'), line(2, 'clean'), line(3, 'inconclusive')].join('\n'),
  );
  expect(JSON.parse(await plan('--from', dir, '--json'))).toMatchObject({ cleanAttempts: 38, totalMs: 380_000 });
});

it.each([
  [[]],
  [['--rate', '3%', '--before', '1/2']],
  [['--rate', '0']],
  [['--rate', '3']],
  [['--before', '3/2']],
  [['--before', '0/5']],
  [['--confidence', '1', '--rate', '0.1']],
  [['--from', '/nonexistent']],
])('refuses %j', (args) => expect(plan(...args)).rejects.toThrow());

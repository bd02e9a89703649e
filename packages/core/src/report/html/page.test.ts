import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { RunInput } from '../analysis/input.js';
import { attempt, evidence, finding, HOSTILE, runOf } from '../analysis/run.fixture.js';
import { renderHtml } from './page.js';

const assets = { script: 'start()', style: 'body{}' };
const page = (...runs: readonly RunInput[]) => renderHtml(runs, assets);
const h1 = (text: string) => /<h1>(.*?)<\/h1>/.exec(text)?.[1];

describe('renderHtml', () => {
  it.each([
    ['rcrccc', '2 of 6 attempts failed'],
    ['rccc', '1 of 4 attempts failed'],
    ['rrr', 'All 3 attempts failed'],
    ['cccc', 'No failure in 4 attempts'],
    ['iii', 'Cannot tell: 3 attempts were inconclusive'],
    ['', 'No attempt has finished yet'],
  ])('says of %j: %s', (letters, headline) => expect(h1(page(runOf(letters)))).toBe(headline));

  it.each([
    ['rrrrrrcccc', 'c'.repeat(60), 'The failure is gone'],
    ['rrrrrrcccc', 'ccc', 'Not shown yet: the second run may be clean by chance'],
    [
      `${'r'.repeat(50)}${'c'.repeat(50)}`,
      `${'r'.repeat(10)}${'c'.repeat(90)}`,
      'It fails less often, and still fails',
    ],
    ['c'.repeat(40), 'r'.repeat(40), 'It fails more often'],
    ['rrcc', 'rccc', 'No difference is shown'],
    ['rrcc', 'ii', 'Nothing to compare yet'],
  ])('says of %s before and %s after: %s', (before, after, headline) =>
    expect(h1(page(runOf(before), runOf(after, { label: 'after' })))).toBe(headline),
  );

  it.each([
    [['r', 'r'], '2 of 2 runs fail more often than a'],
    [['r', 'c'], '1 of 2 runs fails more often than a'],
    [['c', 'c'], '0 of 2 runs fail less often than a'],
  ])('says of a run without failures and runs of %s: %s', (others, headline) => {
    const [first, ...rest] = ['c', ...others].map((letter, index) =>
      runOf(letter.repeat(40), { label: 'abc'.charAt(index) }),
    );
    expect(first && h1(page(first, ...rest))).toBe(headline);
  });

  it('says how many of several runs fail less often, and how many more often', () => {
    const half = 'rc'.repeat(20);
    const runs = [half, 'c'.repeat(40), 'r'.repeat(40)].map((letters, index) =>
      runOf(letters, { label: 'abc'.charAt(index) }),
    );
    expect(h1(page(...runs))).toBe('1 of 2 runs fails less often than a, and 1 more often');
  });

  it('has a content security policy that allows only its own script and style', () => {
    const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page(runOf('r'))) ?? [];
    const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    expect(policy).toBe(
      `default-src 'none'; script-src ${hash('start()')}; style-src ${hash('body{}')}; img-src data:; base-uri 'none'; form-action 'none'`,
    );
    expect(page(runOf('r'))).not.toMatch(/ style="|(?:src|href)="(?!data:,|attempts\/)| on\w+="/);
  });

  it('escapes hostile text from every source', () => {
    const text = page(
      runOf('', {
        label: HOSTILE,
        run: {
          name: HOSTILE,
          startedAt: HOSTILE,
          environment: [{ name: HOSTILE, value: HOSTILE }],
          commandLine: [HOSTILE],
          sessions: [],
        },
        attempts: [
          attempt(1, 'r', {
            findings: [
              finding({
                title: HOSTILE,
                signature: HOSTILE,
                kind: HOSTILE,
                task: { comm: HOSTILE, pid: 1 },
                evidence: [HOSTILE],
                stack: [{ function: HOSTILE, raw: HOSTILE }],
              }),
            ],
          }),
          attempt(2, 'i', { reason: HOSTILE }),
        ],
        evidence: new Map([[1, evidence(HOSTILE, { files: [{ name: 'sysrq-w.txt', text: HOSTILE }] })]]),
        notes: [HOSTILE],
      }),
    );
    expect(text.match(/<script/g)).toHaveLength(2);
    expect(text.match(/<\/script/g)).toHaveLength(2);
    expect(text).not.toMatch(/<img|<!--|[\u0000-\u0008\u000b-\u001f\u2028-\u202e]/);
  });

  it('has the explanation of the first hang, and the command that opens its dump', () => {
    const run = runOf('crr');
    const attempts = run.attempts.map((one) =>
      one.outcome === 'clean'
        ? one
        : { ...one, explanation: ['<b> waits for a mutex.'], dump: 'attempts/0002/memory.elf' },
    );
    const text = page({ ...run, attempts });
    expect(text).toMatch(/<li>[^<]*b[^<]* waits for a mutex\.<\/li>/);
    expect(text).toContain('memory in attempt 2:');
    expect(text).toContain('qmpilot explain --stacks --dump attempts/0002/memory.elf');
  });

  it('says what differs between the machines of two runs', () => {
    const on = (value: string) => ({
      run: {
        name: 's',
        environment: [
          { name: 'Guest kernel', value },
          { name: 'QEMU', value: '7.2' },
        ],
        commandLine: [],
        sessions: [],
      },
    });
    const text = page(runOf('r', on('6.6.58')), runOf('c', on('6.6.59')));
    expect(text).toContain('<tr class="differs"><th>Guest kernel</th><td>6.6.58</td><td>6.6.59</td></tr>');
    expect(text).toContain('<tr><th>QEMU</th>');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attempt, finding, HOSTILE, runOf } from './analysis/run.fixture.js';
import { renderMarkdown } from './markdown.js';
import { fence, span } from './wording/code.js';

const whole = runOf('', {
  run: {
    name: 'npm-ci-hang',
    seed: 7,
    attempts: 2,
    source: { file: '/home/me/npm-ci-hang.repro.ts', sha256: 'abc' },
    guest: 'debian',
    kernel: '6.1.0',
    environment: [{ name: 'QEMU', value: '7.2' }],
    commandLine: ['qemu', '-append', 'a b'],
    sessions: [],
  },
  attempts: [
    attempt(1, 'r', {
      findings: [
        finding({ kind: 'd-state', title: 'D state: npm ci (pid 9) in g', signature: 'd' }),
        finding({
          stack: [{ function: 'f', raw: 'f+0x1/0x2' }],
          evidence: [
            '\u001b[2;5Htmux drew this',
            '[    1.000000] INFO: task npm ci:9 blocked',
            '[    1.000001]  f+0x1/0x2',
          ],
        }),
      ],
    }),
    attempt(2, 'c'),
  ],
});

describe('renderMarkdown', () => {
  it('says who waits for whom, in the first attempt that tells', () => {
    const explanation = ['a (1) waits for the mutex at 0 (b); `c` (2) holds it.'];
    const text = renderMarkdown(
      runOf('', { attempts: [attempt(1, 'r'), attempt(2, 'r', { explanation }), attempt(3, 'r', { explanation })] }),
    );
    expect(text).toContain(
      "## Who waits for whom\n\nRead from the guest's memory in attempt 2; attempt 3 has one as well:\n\n```text\na (1) waits for the mutex at 0 (b); `c` (2) holds it.\n```",
    );
  });

  it('has title, rate, reproduction, kernel log and environment, and nothing that was drawn in between', () => {
    expect(renderMarkdown(whole)).toMatchInlineSnapshot(`
      "# \`INFO: task hung in f\`: 1 of 2 attempts failed

      Failure rate: **50 %** (95 % interval: between 9.5 and 91 %). Median time to failure: 2 s; one failure per 20.1 s of trying.

      ## What happens

      - \`D state: npm ci in g\`: 1 of 2, after 2 s (median)
      - \`INFO: task hung in f\`: 1 of 2, after 2 s (median)

      ## How to reproduce

      \`\`\`text
      qmpilot repro npm-ci-hang.repro.ts --attempts 2 --seed 7
      \`\`\`

      The scenario's SHA-256 is \`abc\`.

      The guest is \`debian\` with kernel \`6.1.0\`.

      ## Kernel log

      From attempt 1, 2 s after the restore:

      \`\`\`text
      [    1.000000] INFO: task npm ci:9 blocked
      [    1.000001]  f+0x1/0x2
      \`\`\`

      ## Environment

      | | |
      |---|---|
      | QEMU | \`7.2\` |

      <details><summary>QEMU's command line</summary>

      \`\`\`text
      qemu \\
        -append 'a b'
      \`\`\`

      </details>
      "
    `);
  });

  it('says what is known of a run without a failure', () => {
    expect(renderMarkdown(runOf('c'.repeat(59)))).toMatch(
      /^# scenario: no failure in 59 attempts\n\nNo failure was seen; at 95 % confidence the rate is below 5/,
    );
  });

  it('repeats the parallel forks of the run, which change its timing', () => {
    const run = { ...whole.run, sessions: [{ forks: 2 }, {}] };
    expect(renderMarkdown({ ...whole, run })).toContain('--attempts 2 --forks 2 --seed 7');
  });

  it('shows the evidence of the scenario under a heading of its own', () => {
    const own = finding({ kind: 'data-loss', title: 'data loss', signature: 'l', evidence: ['block 7'] });
    const text = renderMarkdown({ ...whole, attempts: [attempt(1, 'r', { findings: [own] })] });
    expect(text).toContain('## Evidence\n\nFrom attempt 1');
    expect(text).not.toContain('## Kernel log');
  });

  it('names the reasons of attempts that could not tell', () => {
    expect(renderMarkdown(runOf('cii'))).toContain('## What happens\n\n- inconclusive, `QEMU_EXITED: gone`: 2 of 3\n');
  });

  it('says of several runs first how they compare with the first one', () => {
    const text = renderMarkdown(runOf('rrrrrccccc', { label: 'a|b' }), runOf('c'.repeat(40), { label: '@after' }));
    expect(text.slice(0, text.indexOf('\n\n# '))).toMatchInlineSnapshot(`
      "# The failure is gone

      | Run | Failed | 95 % interval | |
      |---|---|---|---|
      | \`a\\|b\` | 5 of 10 | 24 to 76 % | compared with |
      | \`@after\` | 0 of 40 | 0 to 8.8 % | Fisher's exact test, two-sided: p = 1.2 × 10⁻⁴. The rate changes by −50 points (95 %: −76 to −22). |"
    `);
    expect(text.match(/^# /gm)).toHaveLength(3);
  });

  it('puts guest text into code spans and blocks, where mentions and markup have no effect', () => {
    const text = renderMarkdown(
      runOf('', {
        run: { ...whole.run, name: HOSTILE, environment: [{ name: HOSTILE, value: HOSTILE }] },
        attempts: [
          attempt(1, 'r', { findings: [finding({ title: HOSTILE, evidence: [HOSTILE, '```', '@everyone'] })] }),
        ],
      }),
    );
    const outside = text.replace(/^(`{3,})text\n[^]*?\n\1$/gm, '').replace(/(`+)(?!`)[^]*?(?<!`)\1(?!`)/g, '');
    expect(outside).not.toMatch(/script|@everyone|img|\u202e|\u001b/);
  });
});

describe('fence and span', () => {
  it('cannot be ended by backticks in the text', () => {
    const nasty = fc
      .array(fc.constantFrom('`', '``', '```', '\n', 'x', '~~~', ' '), { maxLength: 30 })
      .map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(nasty, (text) => {
        const [first = '', ...rest] = fence(text).split('\n');
        const marks = first.replace('text', '');
        expect(rest.findIndex((line) => line.trimStart().startsWith(marks))).toBe(rest.length - 1);
        const code = span(text);
        const run = /^`+/.exec(code)?.[0] ?? '';
        if (run !== '') expect(code.slice(run.length, -run.length).match(/`+/g)?.includes(run) ?? false).toBe(false);
      }),
    );
  });
});

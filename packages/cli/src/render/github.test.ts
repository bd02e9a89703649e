import type { RunSummary } from '@qmpilot/core';
import { describe, expect, it } from 'vitest';
import { githubAnnotations, guardedCommands } from './github.js';

const summary: RunSummary = {
  v: 1,
  type: 'summary',
  attempts: 10,
  reproduced: 2,
  clean: 7,
  inconclusive: 1,
  threw: 0,
  rate: 2 / 9,
  interval: [0.0632, 0.5474],
  medianTimeToFailureMs: 1,
  failures: [
    {
      signature: 's',
      title: '100% stuck,\nin f: g',
      attempts: 2,
      symptoms: [{ signature: 't', title: 'a poweroff\nstalled', attempts: 1 }],
    },
  ],
  dir: 'runs/x',
};

describe('annotations for GitHub Actions', () => {
  it('are an error for each failure, a warning for what could not be told, and a notice, with all spelled out that would end them', () => {
    expect(githubAnnotations('a,b: c', summary).split('\n')).toEqual([
      '::error title=a%2Cb%3A c%3A reproduced::100%25 stuck,\\x0ain f: g (in 2 of 10 attempts); a poweroff\\x0astalled',
      '::warning title=a%2Cb%3A c%3A inconclusive::1 of 10 attempts were inconclusive',
      '::notice title=a%2Cb%3A c%3A 10 attempts::2 reproduced, 7 clean, 1 inconclusive, 95 %25 interval 6.3 to 54.7 %25; evidence in runs/x',
      '',
    ]);
  });

  it('make no command of what a guest printed', () => {
    const text = githubAnnotations('x', {
      ...summary,
      failures: [
        {
          signature: 's',
          title: 'x\r\n::set-output name=a::b\n::error::forged',
          attempts: 1,
          symptoms: [{ signature: 't', title: 'y\r\n::error::forged', attempts: 1 }],
        },
      ],
    });
    expect(
      text
        .split(/\r|\n/)
        .filter((line) => line.startsWith('::'))
        .map((line) => line.split(' ')[0]),
    ).toEqual(['::error', '::warning', '::notice']);
  });

  it('are preceded by a pause of all commands that nobody can guess the end of', () => {
    const [one, other] = [guardedCommands(), guardedCommands()];
    const token = /^::stop-commands::([\w-]{30,})\n$/.exec(one.begin)?.[1];
    expect(one.end).toBe(`::${token}::\n`);
    expect(other.begin).not.toBe(one.begin);
  });
});

import { describe, expect, it } from 'vitest';
import { commandLines, type CommandLine } from './command-lines.js';
import { readPages } from './pages.js';
import { wrongWith } from './wrong-with.js';

const pages = readPages();
const isOurs = ({ words: [program = ''] }: CommandLine) => ['qmpilot', 'npm', 'pnpm'].includes(program);

const inBlocks = pages.flatMap(({ blocks }) =>
  blocks
    .filter(({ language }) => language === 'sh')
    .flatMap(({ at, text }) =>
      commandLines(text)
        .filter(isOurs)
        .map((command) => ({ ...command, at, line: command.words.join(' ') })),
    ),
);
const inProse = pages.flatMap(({ path, prose }) =>
  prose.flatMap((line, index) =>
    [...line.matchAll(/`((?:qmpilot|pnpm|npm run) [^`]+)`/g)].flatMap(([, text = '']) =>
      commandLines(text)
        .filter(isOurs)
        .map((command) => ({ ...command, at: `${path}:${index + 1}`, line: command.words.join(' ') })),
    ),
  ),
);

describe('the commands of the documentation', () => {
  it.each(inBlocks)('$at: $line', async ({ words, terse }) => {
    expect(await wrongWith(words, terse)).toBeUndefined();
  });

  it.each(inProse)('$at: $line', async ({ words }) => {
    expect(await wrongWith(words, true)).toBeUndefined();
  });

  it.each([
    ['qmpilot', 'no-such'],
    ['qmpilot', 'repro', '--no-such', 'x'],
    ['qmpilot', 'repro', 'x', '--timeout', 'soon'],
    ['qmpilot', 'exec'],
    ['pnpm', 'no-such'],
    ['npm', 'run', 'no-such'],
  ])('finds what is wrong with %s %s %s', async (...words) => {
    expect(await wrongWith(words.filter((word) => typeof word === 'string'))).toBeTypeOf('string');
  });
});

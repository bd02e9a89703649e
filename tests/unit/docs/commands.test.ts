import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../../packages/cli/src/program.js';
import { commandLines, type CommandLine } from './command-lines.js';
import { readPages, ROOT } from './pages.js';

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
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

type Command = ReturnType<typeof createProgram>;

/** The whole command line, with actions that do nothing. */
function idle(): Command {
  const program = createProgram('0.0.0');
  const quieten = (command: Command['commands'][number]) => {
    command.configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (command.commands.length === 0) command.action(() => {});
    for (const child of command.commands) quieten(child);
  };
  quieten(program);
  return program;
}

/** What is wrong with it; undefined when the command would be run. `terse` as in prose, where arguments may be left out. */
async function wrongWith(words: readonly string[], terse = false): Promise<string | undefined> {
  const [program = '', ...args] = words;
  if (program !== 'qmpilot') return wrongScript(program, args);
  try {
    await idle().parseAsync(args, { from: 'user' });
    return undefined;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'commander.version' || code === 'commander.helpDisplayed') return undefined;
    if (terse && (code === 'commander.missingArgument' || code === 'commander.help')) return undefined;
    return message;
  }
}

function wrongScript(program: string, args: readonly string[]): string | undefined {
  const [verb = '', name = ''] = args;
  const script = verb === 'run' ? name : verb === 'test' || program === 'pnpm' ? verb : undefined;
  return script === undefined || script in scripts ? undefined : `package.json has no script ${script}`;
}

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

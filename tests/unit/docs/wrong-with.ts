import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createProgram } from '../../../packages/cli/src/program.js';
import { ROOT } from './pages.js';

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

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
export async function wrongWith(words: readonly string[], terse = false): Promise<string | undefined> {
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

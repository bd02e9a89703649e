import { bashWord } from './quote.js';
import type { ExecOptions } from './shell.js';

/** The command with its environment, directory and user, as bash source. */
export function commandText(command: string, options: Pick<ExecOptions, 'env' | 'cwd' | 'user'>): string {
  const before = Object.entries(options.env ?? {}).map(([name, value]) => `export ${name}=${bashWord(value)}; `);
  if (options.cwd !== undefined) before.push(`cd -- ${bashWord(options.cwd)} || exit 1; `);
  if (options.user === undefined) return before.join('') + command;
  // The options of runuser and su are the same; $BASH, for not every system has a /bin/bash.
  const run = `-s "$BASH" -c ${bashWord(command)} -- ${bashWord(options.user)}`;
  return `${before.join('')}if type -P runuser >/dev/null; then exec runuser ${run}; else exec su ${run}; fi`;
}

import { bashWord } from './quote.js';
import type { ExecOptions } from './shell.js';

/** The command with its environment, directory and user, as source for bash; with `shQuote`, for any POSIX shell. */
export function commandText(
  command: string,
  options: Pick<ExecOptions, 'env' | 'cwd' | 'user'>,
  word: (text: string) => string = bashWord,
): string {
  const before = Object.entries(options.env ?? {}).map(([name, value]) => `export ${name}=${word(value)}; `);
  if (options.cwd !== undefined) before.push(`cd -- ${word(options.cwd)} || exit 1; `);
  if (options.user === undefined) return before.join('') + command;
  // The options of runuser and su are the same.
  const run = `-s "$(command -v bash || command -v sh)" -c ${word(command)} -- ${word(options.user)}`;
  return `${before.join('')}if command -v runuser >/dev/null; then exec runuser ${run}; else exec su ${run}; fi`;
}

import { QmpilotError } from '../errors.js';
import type { ExecOptions } from './exec-options.js';
import type { ExecResult } from './exec-result.js';
import { bashWord } from './quote.js';

type Place = Pick<ExecOptions, 'env' | 'cwd' | 'user' | 'inputFile'>;

/**
 * Returns the command with its environment, directory and user as source for bash; with `shQuote`, for any POSIX shell.
 * @param onTerminal keeps the session, and with it the terminal, when the user is changed
 */
export function commandText(
  command: string,
  options: Place,
  word: (text: string) => string = bashWord,
  onTerminal = false,
): string {
  const before = Object.entries(options.env ?? {}).map(([name, value]) => `export ${name}=${word(value)}; `);
  const orSay = (text: string) => `|| { printf '%s\\n' ${word(text)} >&2; exit 1; }; `;
  if (options.cwd !== undefined)
    before.push(`cd -- ${word(options.cwd)} 2>/dev/null ${orSay(noDirectory(options.cwd))}`);
  const { user } = options;
  if (user !== undefined) before.push(`id -u -- ${word(user)} >/dev/null 2>&1 ${orSay(noUser(user))}`);
  if (options.inputFile !== undefined) before.push(`exec <${word(options.inputFile)}; `);
  if (user === undefined) return before.join('') + command;
  // The options of runuser and su are the same; the su of busybox never makes a new session.
  const run = (flag: string) => `-s "$(command -v bash || command -v sh)" ${flag} ${word(command)} -- ${word(user)}`;
  const runuser = run(onTerminal ? '--session-command' : '-c');
  return `${before.join('')}if command -v runuser >/dev/null; then exec runuser ${runuser}; else exec su ${run('-c')}; fi`;
}

/** @throws {NOT_FOUND} when the command did not run, for want of its directory or user */
export function requireStarted(result: ExecResult, { cwd, user }: Place): ExecResult {
  if (result.exitCode !== 1 || (cwd === undefined && user === undefined)) return result;
  const said = result.stderrBytes.subarray(0, 8192).toString('utf8').trimEnd();
  const reasons = [cwd !== undefined && noDirectory(cwd), user !== undefined && noUser(user)];
  if (!reasons.includes(said)) return result;
  throw new QmpilotError('NOT_FOUND', `${said}; the command was not run`);
}

function noDirectory(cwd: string): string {
  return `cwd: ${JSON.stringify(cwd)} is not a directory of the guest that can be entered`;
}

function noUser(user: string): string {
  return `user: the guest has no user ${JSON.stringify(user)}`;
}

import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration } from '../../arguments.js';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
import { readInput } from '../../read-input.js';
import { renderJson } from '../../render/json.js';
import { TerminalFilter } from '../../render/terminal-filter.js';

interface ExecCommandOptions {
  readonly user?: string;
  readonly cwd?: string;
  readonly timeout?: number;
  readonly stdin?: boolean;
  readonly json?: boolean;
}

const HELP = `
One word is a shell command ("ls /proc | wc -l"); several are a program and its arguments, passed as they are. The exit status is the
command's own; 125 when it could not be run or has not ended in time.

  qmpilot exec web -- uname -r
  qmpilot exec web 'dmesg | tail -3'`;

export function registerExec(program: Command): void {
  program
    .command('exec')
    .description('run a command in a vm, as root, and pass on its output and exit status')
    .argument('<vm>', 'its name')
    .argument('<command...>', 'a shell command, or a program and its arguments')
    .option('--user <name>', 'as this user of the guest')
    .option('--cwd <dir>', 'in this directory of the guest')
    .option('--timeout <time>', 'kill it after this long', duration)
    .option('--stdin', 'pass on standard input, once it has ended')
    .option('--json', 'one JSON line with exit status and output')
    .passThroughOptions()
    .addHelpText('after', HELP)
    .action(async (name: string, given: string[], options: ExecCommandOptions) => {
      const words = given[0] === '--' ? given.slice(1) : given;
      if (words.length === 0) throw new QmpilotError('USAGE', 'exec: which command?');
      if (words === given && given[0]?.startsWith('-')) {
        throw new QmpilotError(
          'USAGE',
          `exec: ${given[0]} stands behind the name of the vm, where the command begins`,
          {
            hint: `options come first: qmpilot exec ${given[0]} ... ${name} COMMAND; a command that begins so stands behind --`,
          },
        );
      }
      const command = words.length === 1 ? (words[0] ?? '') : words.map(shellWord).join(' ');
      const input = options.stdin === true ? (await readInput()).toString('base64') : undefined;
      const output = options.json === true ? collector() : passOn();
      const { exitCode, durationMs } = await interruptible('killing the command', (signal) =>
        call(
          name,
          'exec',
          { command, input, user: options.user, cwd: options.cwd, timeout: options.timeout },
          {
            signal,
            onEvent: ({ from, bytes }) => output.take(from, Buffer.from(bytes, 'base64')),
          },
        ),
      );
      if (options.json === true)
        process.stdout.write(
          `${renderJson({ v: 1, type: 'exec', vm: name, command, exitCode, durationMs, ...output.texts() }, false)}\n`,
        );
      process.exitCode = exitCode;
    });
}

/** POSIX: nothing is special between single quotes. */
function shellWord(word: string): string {
  if (word.includes('\0')) throw new QmpilotError('USAGE', 'a command cannot hold a NUL byte');
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

interface Output {
  take(from: 'stdout' | 'stderr', bytes: Buffer): Promise<void> | void;
  texts(): object;
}

/** What is kept for the one line of --json, in bytes; a guest can write without end. */
const JSON_LIMIT = 64 * 2 ** 20;

/** @throws {OUTPUT_LIMIT} from `take`, which ends the command */
export function collector(limit = JSON_LIMIT): Output {
  const kept: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  let length = 0;
  return {
    take: (from, bytes) => {
      length += bytes.length;
      if (length > limit) {
        throw new QmpilotError('OUTPUT_LIMIT', `the command wrote more than ${limit} bytes, and was killed`, {
          hint: 'leave out --json: output is then passed on as it comes',
        });
      }
      kept[from].push(bytes);
    },
    texts: () => ({ stdout: Buffer.concat(kept.stdout).toString(), stderr: Buffer.concat(kept.stderr).toString() }),
  };
}

/** Bytes to a file or pipe as they are; to a terminal only what draws text. */
function passOn(): Output {
  const to = (stream: NodeJS.WriteStream) => {
    const filter = stream.isTTY ? new TerminalFilter() : undefined;
    return (bytes: Buffer) =>
      new Promise<void>((resolve) => void stream.write(filter ? filter.push(bytes) : bytes, () => resolve()));
  };
  const streams = { stdout: to(process.stdout), stderr: to(process.stderr) };
  return { take: (from, bytes) => streams[from](bytes), texts: () => ({}) };
}

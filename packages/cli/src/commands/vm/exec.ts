import { QmpilotError, quote } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration, environment } from '../../arguments.js';
import { call } from '../../daemon/client.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { TerminalFilter } from '../../render/terminal-filter.js';
import { InputSender } from '../../send-input.js';
import { requireTerminal, withTerminal } from '../../terminal-session.js';

interface ExecCommandOptions {
  readonly user?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeout?: number;
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly json?: boolean;
}

const HELP = `
A single word is a shell command ("ls /proc | wc -l"); several words are a program and its arguments, passed unchanged.

Exit status: that of the command; 125 when it could not be run or did not end in time.

  qmpilot exec web -- uname -r
  qmpilot exec web 'dmesg | tail -3'
  qmpilot exec --tty web htop
  tar -c site | qmpilot exec --stdin web tar -x -C /srv`;

export function registerExec(program: Command): void {
  program
    .command('exec')
    .description('run a command in a VM as root, with its output and exit status')
    .argument('<vm>', 'name of the VM')
    .argument('<command...>', 'a shell command, or a program and its arguments')
    .option('--user <name>', 'run as this user of the guest')
    .option('--cwd <dir>', 'run in this directory of the guest')
    .option('--env <key=value>', 'set an environment variable (repeatable)', environment)
    .option('--timeout <time>', 'kill the command after this time', duration)
    .option('--stdin', 'pass standard input to the command, while it runs')
    .option('--tty', 'run it on a terminal of its own, connected to yours')
    .option('--json', 'print one JSON line with exit status and output')
    .passThroughOptions()
    .addHelpText('after', helpText(HELP))
    .action(async (name: string, given: string[], options: ExecCommandOptions) => {
      const words = given[0] === '--' ? given.slice(1) : given;
      if (words.length === 0) throw new QmpilotError('USAGE', 'exec: no command given');
      if (words === given && given[0]?.startsWith('-')) {
        throw new QmpilotError('USAGE', `exec: option ${given[0]} after the name of the VM, where the command begins`, {
          hint: optionsHint(name, given),
        });
      }
      const command = words.length === 1 ? (words[0] ?? '') : words.map(quote).join(' ');
      if (options.tty === true) {
        process.exitCode = await runOnTerminal(name, command, options);
        return;
      }
      const { user, cwd, env, timeout } = options;
      const input = options.stdin === true ? new InputSender(process.stdin) : undefined;
      const output = options.json === true ? collector() : passOn();
      const { exitCode, durationMs } = await interruptible('killing the command', (signal) =>
        call(
          name,
          'exec',
          { command, user, cwd, env, timeout, stdin: input !== undefined },
          {
            signal: input ? AbortSignal.any([signal, input.signal]) : signal,
            onConnected: (socket) => void input?.send(socket),
            onEvent: (event) =>
              'taken' in event
                ? input?.taken(event.taken)
                : output.take(event.from, Buffer.from(event.bytes, 'base64')),
          },
        ),
      ).finally(() => input?.stop());
      if (options.json === true)
        process.stdout.write(jsonLine('exec', { vm: name, command, exitCode, durationMs, ...output.texts() }));
      process.exitCode = exitCode;
    });
}

/** Runs a command on a terminal of its own in the guest; returns its exit code. */
async function runOnTerminal(name: string, command: string, options: ExecCommandOptions): Promise<number> {
  const { user, cwd, env } = options;
  const other = (['timeout', 'stdin', 'json'] as const).find((option) => options[option] !== undefined);
  if (other !== undefined) throw new QmpilotError('USAGE', `exec: --tty and --${other} exclude each other`);
  requireTerminal('exec --tty', 'without a terminal, leave out --tty');
  const term = process.env['TERM'] === undefined ? {} : { TERM: process.env['TERM'] };
  const { exitCode } = await withTerminal(undefined, ({ signal, size, ...handlers }) =>
    call(name, 'terminal', { command, user, cwd, env: { ...term, ...env }, ...size }, { signal, ...handlers }),
  );
  return exitCode;
}

interface Output {
  take(from: 'stdout' | 'stderr', bytes: Buffer): Promise<void> | void;
  texts(): object;
}

/** Most bytes of output in the line of --json. */
const JSON_LIMIT = 64 * 2 ** 20;

/** @throws {OUTPUT_LIMIT} from `take`, which ends the command */
export function collector(limit = JSON_LIMIT): Output {
  const kept: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  let length = 0;
  return {
    take: (from, bytes) => {
      length += bytes.length;
      if (length > limit) {
        throw new QmpilotError('OUTPUT_LIMIT', `the command wrote more than ${limit} bytes and was killed`, {
          hint: 'leave out --json: output is then printed as it comes',
        });
      }
      kept[from].push(bytes);
    },
    texts: () => ({ stdout: Buffer.concat(kept.stdout).toString(), stderr: Buffer.concat(kept.stderr).toString() }),
  };
}

/** Writes bytes unchanged to a file or pipe, filtered to a terminal. */
function passOn(): Output {
  const to = (stream: NodeJS.WriteStream) => {
    const filter = stream.isTTY ? new TerminalFilter() : undefined;
    return (bytes: Buffer) =>
      new Promise<void>((resolve) => void stream.write(filter ? filter.push(bytes) : bytes, () => resolve()));
  };
  const streams = { stdout: to(process.stdout), stderr: to(process.stderr) };
  return { take: (from, bytes) => streams[from](bytes), texts: () => ({}) };
}

/** For options that follow the name: they are the command's unless `--` is in front. */
function optionsHint(name: string, given: readonly string[]): string {
  const end = given.indexOf('--');
  if (end < 0) return `put options first: qmpilot exec ${given[0]} ... ${name} COMMAND; or put -- before the command`;
  const [options, command] = [given.slice(0, end), given.slice(end + 1)].map((words) => words.map(quote).join(' '));
  return `put options before the name: qmpilot exec ${options} ${name} -- ${command}`;
}

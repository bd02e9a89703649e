import { QmpilotError } from '../errors.js';
import { monotonicMs } from '../util/clock.js';
import { commandText } from './command-text.js';
import type { ExecStream } from './exec-stream.js';
import { FlowMarks } from './flow-marks.js';
import { FrameReader, type Mark } from './frames.js';
import { Gathered } from './gathered.js';
import { readExitCode } from './exit-code.js';
import { sendInput } from './out-of-band-input.js';
import { newNonce, requestLine, type OutOfBandLink } from './out-of-band-link.js';
import { bashWord } from './quote.js';
import { abandoned, DEFAULT_MAX_OUTPUT, describeCommand, execResult, outputLimit, type ExecOptions, type ExecResult, type ShellKind } from './shell.js';
import { Window } from './window.js';

/** One command, its outputs whole. */
export async function runCommand(link: OutOfBandLink, via: ShellKind, command: string, options: ExecOptions): Promise<ExecResult> {
  const input = await sendInput(link, options);
  const began = monotonicMs();
  const [stdout, stderr] = [new Gathered(), new Gathered()];
  let into: Gathered | undefined;
  let endedMs = 0;
  let window = new Window(link.channel, '.');
  let stray = '';
  const limit = options.maxOutput ?? DEFAULT_MAX_OUTPUT;
  const take = (bytes: Buffer, broken: (error: unknown) => void) => {
    if (!into) return;
    if (into.length + bytes.length > limit) broken(outputLimit(command, limit));
    else into.push(bytes);
    window.take(bytes.length);
  };
  // While a command runs the agent says nothing: a prompt is that of the bash which came in its place.
  const raw = (chunk: Buffer, broken: (error: unknown) => void) => {
    if (into) return;
    stray = (stray + chunk.subarray(-64).toString('latin1')).slice(-64);
    if (!/bash-\d[\w.]*[#$] $/.test(stray)) return;
    link.answers = false;
    broken(new QmpilotError('SHELL_LOST', `${link.name} ended while it ran ${describeCommand(command)}`, {
      hint: 'a command that kills its own shell ($$ is the shell itself) ends it; the next command gets a new one',
    }));
  };
  const mark = ({ letter }: Mark) => {
    // Each once: a guest that says them again must not begin to count anew.
    if (letter === 'B' && !into) [into, endedMs] = [stdout, monotonicMs() - began];
    if (letter !== 'O' || into === stderr) return;
    into = stderr;
    window = new Window(link.channel, '.');
  };
  let failure: unknown;
  const { timeout, signal } = options;
  const end = await link.request('exec', `__qc=${bashWord(commandText(command, options))} ${input}`, { timeout, signal }, {
    last: 'X',
    awaited: `${describeCommand(command)} in the guest`,
    bytes: take,
    raw,
    mark,
    abandon: (error) => {
      failure = error;
    },
  });
  const [stdoutBytes, stderrBytes] = [stdout.bytes(), stderr.bytes()];
  if (failure !== undefined) throw abandoned(failure, command, stdoutBytes, stderrBytes);
  return execResult({ command, via, exitCode: readExitCode(end.payload.toString(), link.name), stdoutBytes, stderrBytes, durationMs: endedMs });
}

/** One command, its outputs as they come. */
export async function streamCommand(link: OutOfBandLink, stream: ExecStream, options: ExecOptions): Promise<void> {
  const input = await sendInput(link, options);
  const nonce = newNonce();
  const marks = new FlowMarks(stream, link.channel);
  const reader = new FrameReader(nonce, (bytes) => marks.bytes(bytes), (mark) => marks.mark(mark));
  const undo = [link.channel.onData((chunk) => reader.push(chunk)), ...link.breaks((error) => marks.fail(error))];
  try {
    await link.channel.write(requestLine('flow', nonce, `__qc=${bashWord(commandText(stream.command, options))} ${input}`));
    // The line end is for bash's `read`, which does not return for a signal.
    await marks.end({ timeout: options.timeout }, () => link.channel.write('\x03\n'));
  } catch (error) {
    link.answers = false;
    throw error;
  } finally {
    await link.channel.write(requestLine('done', nonce, '')).catch(() => (link.answers = false));
    for (const end of undo) end();
  }
}

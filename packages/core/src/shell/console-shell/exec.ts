import { monotonicMs } from '../../util/time/clock.js';
import { BoundedBuffer } from '../bounded-buffer.js';
import { commandText, requireStarted } from '../command-text.js';
import { DEFAULT_MAX_OUTPUT, type ExecOptions } from '../exec-options.js';
import {
  abandoned,
  describeCommand,
  execResult,
  outputLimit,
  type ExecResult,
  type ShellKind,
} from '../exec-result.js';
import type { ExecStream } from '../exec-stream.js';
import { readExitCode } from '../exit-code.js';
import { bashWord } from '../quote.js';
import { FlowMarks } from './flow-marks.js';
import { FrameReader, type Mark } from './frames.js';
import { sendInput } from './input.js';
import { newNonce, requestLine, type ConsoleLink } from './link.js';
import { StreamTerminal, watchTerminal } from './terminal-taken.js';
import { Window } from './window.js';

/** Runs a command and collects its outputs. */
export async function runCommand(
  link: ConsoleLink,
  via: ShellKind,
  command: string,
  options: ExecOptions,
): Promise<ExecResult> {
  const input = await sendInput(link, options);
  const began = monotonicMs();
  const [stdout, stderr] = [new BoundedBuffer(), new BoundedBuffer()];
  let into: BoundedBuffer | undefined;
  let endedMs = 0;
  let window = new Window(link.channel, '.');
  const watch = watchTerminal(link, `ran ${describeCommand(command)}`);
  const limit = options.maxOutput ?? DEFAULT_MAX_OUTPUT;
  let exceeded = false;
  const take = (bytes: Buffer, broken: (error: unknown) => void) => {
    if (!into) return;
    // Only once: later output must not end the wait for the kill as well.
    if (!exceeded && into.length + bytes.length > limit) {
      exceeded = true;
      broken(outputLimit(command, limit));
    }
    into.push(bytes.subarray(0, Math.max(0, limit - into.length)));
    window.take(bytes.length);
  };
  const raw = (chunk: Buffer, broken: (error: unknown) => void) => {
    if (!into) watch(chunk, broken);
  };
  const mark = ({ letter }: Mark) => {
    // Only once each: a guest that repeats them must not reset the count.
    if (letter === 'B' && !into) [into, endedMs] = [stdout, monotonicMs() - began];
    if (letter !== 'O' || into === stderr) return;
    into = stderr;
    window = new Window(link.channel, '.');
  };
  let failure: unknown;
  const end = await link.request(
    'exec',
    `__qc=${bashWord(commandText(command, options))} ${input}`,
    { signal: options.signal },
    {
      last: 'X',
      awaited: `${describeCommand(command)} in the guest`,
      bytes: take,
      raw,
      mark,
      abandon: (error) => {
        failure = error;
      },
    },
  );
  const [stdoutBytes, stderrBytes] = [stdout.bytes(), stderr.bytes()];
  if (failure !== undefined) throw abandoned(failure, command, stdoutBytes, stderrBytes);
  const result = execResult({
    command,
    via,
    exitCode: readExitCode(end.payload.toString(), link.name),
    stdoutBytes,
    stderrBytes,
    durationMs: endedMs,
  });
  return requireStarted(result, options);
}

/** Runs a command and streams its outputs. */
export async function streamCommand(link: ConsoleLink, stream: ExecStream, options: ExecOptions): Promise<void> {
  const input = await sendInput(link, options);
  const nonce = newNonce();
  const marks = new FlowMarks(stream, link.channel);
  const terminal = new StreamTerminal(link, `ran ${describeCommand(stream.command)}`, nonce, (error) =>
    marks.fail(error),
  );
  const reader = new FrameReader(
    nonce,
    (bytes) => marks.bytes(bytes),
    (mark) => {
      if (mark.letter === 'G') terminal.taken();
      else marks.mark(mark);
    },
  );
  const hear = (chunk: Buffer) => {
    reader.push(chunk);
    terminal.push(chunk);
  };
  const undo = [link.occupy(), link.channel.onData(hear), ...link.breaks((error) => marks.fail(error))];
  try {
    await link.channel.write(
      requestLine('flow', nonce, `__qc=${bashWord(commandText(stream.command, options))} ${input}`),
    );
    // The line end is for bash's `read`, which a signal does not end.
    await marks.end(() => link.channel.write('\x03\n'));
  } catch (error) {
    link.answers = false;
    throw error;
  } finally {
    await link.channel.write(requestLine('done', nonce, '')).catch(() => (link.answers = false));
    for (const end of undo) end();
  }
}

import { randomBytes } from 'node:crypto';
import { isQmpilotError, QmpilotError, TimeoutError } from '../../errors.js';
import type { GuestAgent } from '../../qmp/guest-agent/guest-agent.js';
import { awaitWithin, pause, type WaitOptions } from '../../util/async/deadline.js';
import { onAbort } from '../../util/async/on-abort.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Command, ExecOptions } from '../exec-options.js';
import { describeCommand, requireSuccess, type ExecResult } from '../exec-result.js';
import { checkCommand } from '../exec-schema.js';
import { collect, ExecStream, startStream } from '../exec-stream.js';
import { readExitCode } from '../exit-code.js';
import type { Shell } from '../shell.js';
import { readCount, readHandle, readPid, readPiece, readStatus, type AgentStatus } from './answers.js';
import { killCommand, parseSurvey, removeSpool, SURVEY, wrapCommand, type AgentSurroundings } from './commands.js';

const READ_BYTES = 1 << 20;
/** Input that travels with the command; more is written into a file before. */
const INLINE_INPUT = 1 << 20;
const FIRST_POLL_MS = 4;
const LAST_POLL_MS = 200;
/** How long a command that must be killed may take to start, and then to end. */
const START_MS = 20_000;
const KILL_MS = 5000;
/** An agent that carries out slow commands of others answers late. */
const CALL: WaitOptions = { patience: 60_000 };

/**
 * Commands through the guest agent, qemu-ga. Each is a process of its own there: several may run at the same time, and one that
 * hangs keeps none of the others.
 */
export class GuestAgentShell implements Shell {
  readonly name: string;
  readonly kind = 'guest-agent';
  readonly #agent: GuestAgent;
  readonly #closed = new AbortController();
  #surroundings: AgentSurroundings | undefined;

  constructor(agent: GuestAgent, name = 'shell of the guest agent') {
    this.#agent = agent;
    this.name = name;
  }

  async ready(options: WaitOptions = {}): Promise<void> {
    await this.ping({ patience: 60_000, ...options });
  }

  async exec(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return collect(this.#start(command, options, false), options);
  }

  async expectOk(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  stream(command: Command, options: ExecOptions = {}): ExecStream {
    return this.#start(command, options, true);
  }

  async ping(options: WaitOptions = {}): Promise<void> {
    await this.#agent.ready({ patience: 5000, ...options }).catch((cause: unknown) => {
      throw this.#lost(cause);
    });
  }

  close(): void {
    this.#closed.abort(new QmpilotError('CLOSED', `${this.name} was closed`));
  }

  #start(command: Command, options: ExecOptions, live: boolean): ExecStream {
    const source = checkCommand(command, options);
    const stream = new ExecStream(source, this.kind);
    const close = () => stream.stop(this.#closed.signal.reason);
    if (this.#closed.signal.aborted) close();
    const unsubscribe = onAbort(this.#closed.signal, close);
    const run = (signal: AbortSignal | undefined) =>
      this.#run(stream, { ...options, signal }, live).finally(unsubscribe);
    return startStream(stream, options, run, (error) => this.#lost(error));
  }

  async #run(stream: ExecStream, options: ExecOptions, live: boolean): Promise<void> {
    const surroundings = await this.#survey(options);
    const directory = `${surroundings.folder}/qmpilot-exec.${randomBytes(8).toString('hex')}`;
    const input = Buffer.from(options.input ?? '');
    let spooled = true;
    try {
      if (input.length > INLINE_INPUT) await this.#spoolInput(input, directory, options.signal);
      const pid = await this.#spawn(
        wrapCommand(stream.command, options, surroundings, directory, live),
        surroundings.shell,
        input.length <= INLINE_INPUT ? input : undefined,
      );
      const work = new AbortController();
      const follow = this.#follow(stream, pid, directory, live, work.signal);
      try {
        const end = await awaitWithin<CommandEnd>(
          { awaited: `${describeCommand(stream.command)} in the guest` },
          {},
          (resolve, reject) => {
            follow.then(resolve, reject);
            void stream.stopped.then(reject);
          },
        );
        spooled = end.spooled;
        stream.finish(end.exitCode);
      } catch (error) {
        work.abort(error);
        await this.#kill(pid, directory, surroundings.shell).catch(() => {});
        stream.fail(error);
      }
    } finally {
      if (spooled) await this.#give(removeSpool(directory), surroundings.shell).catch(() => {});
    }
  }

  /** Kills a command, also one that has not started yet. */
  async #kill(pid: number, directory: string, shell: string): Promise<void> {
    for (const end = monotonicMs() + START_MS; monotonicMs() < end; await pause(FIRST_POLL_MS)) {
      if ((await this.#give(killCommand(directory), shell)) !== '') break;
      if (readStatus(await this.#agent.execute('guest-exec-status', { pid }, CALL)).exited) return;
    }
    await this.#status(pid, undefined, KILL_MS);
  }

  /** Waits for the command's end, and passes its output on, as it grows or then. */
  async #follow(
    stream: ExecStream,
    pid: number,
    directory: string,
    live: boolean,
    signal: AbortSignal,
  ): Promise<CommandEnd> {
    const files = {
      stdout: new SpooledFile(this.#agent, `${directory}/o`),
      stderr: new SpooledFile(this.#agent, `${directory}/e`),
    };
    const pass = async (from: 'stdout' | 'stderr') => {
      for (let bytes = await files[from].read(signal); bytes.length > 0; bytes = await files[from].read(signal)) {
        stream.push(from, bytes);
        await stream.room;
        signal.throwIfAborted();
      }
    };
    try {
      const status = await this.#status(
        pid,
        signal,
        undefined,
        live
          ? async () => {
              for (const from of ['stdout', 'stderr'] as const) await pass(from);
            }
          : undefined,
      );
      const { out, err } = status;
      const line = out.indexOf(10);
      const match = /^(\d{1,3})( spooled)?$/.exec(out.toString('latin1', 0, Math.max(line, 0)));
      if (!match) {
        throw new QmpilotError('SHELL_LOST', `${this.name} could not start ${describeCommand(stream.command)}`, {
          evidence: { stderr: err.toString().split('\n').slice(-5) },
          hint: 'it needs a shell, mkdir and a folder that root can write to',
        });
      }
      if (match[2]) for (const from of ['stdout', 'stderr'] as const) await pass(from);
      else {
        stream.push('stdout', out.subarray(line + 1));
        stream.push('stderr', err);
      }
      return { exitCode: readExitCode(match[1] ?? '', this.name), spooled: match[2] !== undefined };
    } finally {
      for (const file of Object.values(files)) await file.close();
    }
  }

  async #status(
    pid: number,
    signal: AbortSignal | undefined,
    timeout: number | undefined,
    between?: () => Promise<void>,
  ): Promise<AgentStatus> {
    const begun = monotonicMs();
    for (let wait = FIRST_POLL_MS; ; wait = Math.min(wait * 1.5, LAST_POLL_MS)) {
      await pause(wait, signal);
      const status = readStatus(await this.#agent.execute('guest-exec-status', { pid }, { ...CALL, signal }));
      if (status.exited) return status;
      if (timeout !== undefined && monotonicMs() - begun > timeout)
        throw new TimeoutError('a command of the guest agent to end', timeout);
      await between?.();
    }
  }

  async #spawn(script: string, shell: string, input?: Buffer): Promise<number> {
    const answer = await this.#agent.execute(
      'guest-exec',
      {
        'path': shell,
        'arg': ['-c', script],
        'capture-output': true,
        ...(input && input.length > 0 && { 'input-data': input.toString('base64') }),
      },
      CALL,
    );
    return readPid(answer);
  }

  /** Runs a script of ours to its end. */
  async #give(script: string, shell: string): Promise<string> {
    const status = await this.#status(await this.#spawn(script, shell), undefined, 60_000);
    return status.out.toString();
  }

  async #spoolInput(input: Buffer, directory: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#give(`umask 77; mkdir -p ${directory}`, this.#surroundings?.shell ?? '/bin/sh');
    const handle = readHandle(
      await this.#agent.execute('guest-file-open', { path: `${directory}/i`, mode: 'w' }, CALL),
    );
    try {
      for (let at = 0; at < input.length;) {
        const piece = input.subarray(at, at + INLINE_INPUT);
        const answer = await this.#agent.execute(
          'guest-file-write',
          { handle, 'buf-b64': piece.toString('base64') },
          { ...CALL, signal },
        );
        const count = readCount(answer, piece.length);
        if (count === 0)
          throw new QmpilotError('NO_SPACE', 'the guest could not store the input of a command', {
            hint: 'make room in its /run',
          });
        at += count;
      }
    } finally {
      await this.#agent.execute('guest-file-close', { handle }, CALL);
    }
  }

  async #survey(options: WaitOptions): Promise<AgentSurroundings> {
    if (this.#surroundings) return this.#surroundings;
    await this.ready({ signal: options.signal });
    this.#surroundings = parseSurvey(await this.#give(SURVEY, '/bin/sh'));
    if (this.#surroundings) return this.#surroundings;
    throw new QmpilotError('SHELL_LOST', `${this.name} found no shell in the guest`, {
      hint: 'the guest agent needs a /bin/sh there',
    });
  }

  #lost(cause: unknown): unknown {
    if (!isQmpilotError(cause)) return cause;
    const unreachable =
      cause.code === 'QMP_LINK' ||
      (cause.code === 'TIMEOUT' && cause.message.includes('guest agent')) ||
      cause.code === 'QMP_COMMAND';
    if (!unreachable) return cause;
    return new QmpilotError('SHELL_LOST', `${this.name} did not answer: ${cause.message}`, {
      cause,
      hint: cause.hint ?? 'is qemu-ga running in the guest, and may it run guest-exec?',
    });
  }
}

interface CommandEnd {
  readonly exitCode: number;
  readonly spooled: boolean;
}

/** A file of the guest that is read from where the last read ended, also while it grows. */
class SpooledFile {
  readonly #agent: GuestAgent;
  readonly #path: string;
  #handle: number | undefined;

  constructor(agent: GuestAgent, path: string) {
    this.#agent = agent;
    this.#path = path;
  }

  /** Empty: nothing more yet. */
  async read(signal: AbortSignal): Promise<Buffer> {
    if (this.#handle === undefined) {
      try {
        this.#handle = readHandle(
          await this.#agent.execute('guest-file-open', { path: this.#path, mode: 'r' }, { ...CALL, signal }),
        );
      } catch (error) {
        // The command has not created it yet.
        if (isQmpilotError(error, 'QMP_COMMAND')) return Buffer.alloc(0);
        throw error;
      }
    }
    return readPiece(
      await this.#agent.execute('guest-file-read', { handle: this.#handle, count: READ_BYTES }, { ...CALL, signal }),
    );
  }

  async close(): Promise<void> {
    if (this.#handle === undefined) return;
    await this.#agent.execute('guest-file-close', { handle: this.#handle }, CALL).catch(() => {});
  }
}

import { randomBytes } from 'node:crypto';
import type { Channel } from '../console/channel.js';
import { AbortedError, isQmpilotError, QmpilotError } from '../errors.js';
import { monotonicMs } from '../util/clock.js';
import { awaitWithin, type WaitOptions } from '../util/deadline.js';
import { Ring } from '../util/ring.js';
import { agentInstallation } from './agent-script.js';
import { commandText } from './command-text.js';
import { ExecStream } from './exec-stream.js';
import { FlowMarks } from './flow-marks.js';
import { FrameReader, type Mark } from './frames.js';
import { bashWord, printfFormat } from './quote.js';
import {
  abandoned, checkCommand, DEFAULT_MAX_OUTPUT, describeCommand, execResult, outputLimit, requireSuccess, type ExecOptions, type ExecResult, type Shell,
} from './shell.js';
import { Turns } from './turns.js';
import { Window } from './window.js';

/** Input up to this size travels inside the request; more goes by itself, in blocks. */
const INLINE_INPUT = 2048;
const INPUT_BLOCK = 1 << 20;
/** How long the agent may take to kill a command and say so; one Ctrl-C each half second. */
const ABANDON_MS = 5000;
const PONG_MS = 300;

/**
 * Commands over a tty that nobody else uses, such as a virtio console (/dev/hvc0): answers also while the
 * kernel talks on the serial console and while `poweroff` stalls. The guest's side is a plain `bash` with
 * that tty as standard input, output and error, started again when it ends; `ready` makes an agent of it.
 */
export class OutOfBandShell implements Shell {
  readonly name: string;
  readonly kind = 'out-of-band';
  readonly #channel: Channel;
  readonly #turns: Turns;
  readonly #seen = new Ring<string>(20);
  readonly #undo: (() => void)[];
  readonly #onClose: (() => void) | undefined;
  #closed = false;
  /** The agent answered, and nothing has happened since that may have changed that. */
  #synced = false;
  #everReady = false;

  /** @param options.onClose called once, by `close`, while the channel can still be used */
  constructor(channel: Channel, options: { readonly name?: string; readonly onClose?: () => void } = {}) {
    this.#channel = channel;
    this.name = options.name ?? `shell on ${channel.name}`;
    this.#onClose = options.onClose;
    this.#turns = new Turns(this.name);
    this.#undo = [
      channel.onAttach(() => {
        this.#synced = false;
      }),
      channel.onData((chunk) => this.#seen.push(chunk.subarray(-500).toString('latin1'))),
    ];
  }

  /**
   * Waits until the guest's bash is there and makes it the agent; after a restore or a reset it only asks
   * whether the agent still answers, one round trip. Limit: 60 s by default.
   * @throws {SHELL_LOST} when nothing answers in time
   * @throws {ABORTED}
   * @throws {CONSOLE_CLOSED}
   */
  ready(options: WaitOptions = {}): Promise<void> {
    return this.#turns.take(this.name, options.signal, () => this.#sync({ timeout: 60_000, ...options }));
  }

  /** Whether the guest's side answered since the last doubt about it. */
  get answers(): boolean {
    return this.#synced;
  }

  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    checkCommand(command, options);
    return this.#turns.take(describeCommand(command), options.signal, async () => {
      await this.#prepare(options);
      return this.#run(command, options);
    });
  }

  async expectOk(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  /**
   * As the interface says. Other commands wait until it has ended; what it left in the background is killed then. In a guest
   * without perl standard error comes by lines, without NUL bytes.
   */
  stream(command: string, options: ExecOptions = {}): ExecStream {
    checkCommand(command, options);
    const stream = new ExecStream(command, this.kind);
    const { signal } = options;
    const stop = () => stream.stop(new AbortedError(describeCommand(command), signal?.reason));
    signal?.addEventListener('abort', stop, { once: true });
    const task = () => this.#turns.take(describeCommand(command), signal, async () => {
      await this.#prepare(options);
      await this.#stream(stream, command, options);
    });
    void task()
      .catch((error: unknown) => stream.fail(error))
      .finally(() => signal?.removeEventListener('abort', stop));
    return stream;
  }

  ping(options: WaitOptions = {}): Promise<void> {
    return this.#turns.take(this.name, options.signal, () => this.#ping({ timeout: 5000, ...options }));
  }

  /**
   * Kills what runs and gets the shell to answer again.
   * @throws {SHELL_LOST} when it does not
   */
  reset(options: WaitOptions = {}): Promise<void> {
    return this.#turns.take(this.name, options.signal, async () => {
      this.#synced = false;
      await this.#channel.write('\x03', options);
      await this.#sync({ timeout: 10_000, ...options });
    });
  }

  /**
   * Ends the guest's bash, after what it runs; where the guest starts it again, a new one comes. Limit: 1 s by default.
   * @throws {TIMEOUT} when it does not answer
   */
  async quit(options: WaitOptions = {}): Promise<void> {
    this.#synced = false;
    await this.#request('quit', '', { timeout: 1000, ...options }, { last: 'P' });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose?.();
    this.#turns.close();
    for (const undo of this.#undo) undo();
  }

  async #prepare(options: WaitOptions): Promise<void> {
    if (this.#synced) return;
    await this.#sync({ timeout: this.#everReady ? 10_000 : 60_000, signal: options.signal });
  }

  /** Asks for the agent, and installs it where there is none. */
  async #sync(options: WaitOptions): Promise<void> {
    const end = new AbortController();
    const began = monotonicMs();
    const signal = options.signal ? AbortSignal.any([options.signal, end.signal]) : end.signal;
    const work = async () => {
      for (let tries = 0; ; tries += 1) {
        // A first try may meet half a line of before; later ones also whatever a person left there.
        const install = tries === 0 ? '' : (tries > 2 ? '\x03\n' : '\n') + agentInstallation();
        const patience = tries === 0 && !this.#everReady ? PONG_MS : Math.min(500 * 2 ** tries, 4000);
        try {
          await this.#ping({ signal, timeout: patience }, install);
          this.#everReady = true;
          return;
        } catch (error) {
          if (!isQmpilotError(error, 'SHELL_LOST')) throw error;
        }
      }
    };
    try {
      await awaitWithin<void>({ awaited: `an answer from ${this.name}` }, options, (resolve, reject) => {
        work().then(resolve, reject);
        return () => end.abort();
      });
    } catch (cause) {
      throw isQmpilotError(cause, 'TIMEOUT') ? this.#lost(monotonicMs() - began, cause) : cause;
    }
  }

  async #ping(options: WaitOptions, before = ''): Promise<void> {
    const began = monotonicMs();
    try {
      await this.#request('ping', '', options, { before, last: 'P' });
      this.#synced = true;
    } catch (cause) {
      this.#synced = false;
      throw isQmpilotError(cause, 'TIMEOUT') ? this.#lost(monotonicMs() - began, cause) : cause;
    }
  }

  async #run(command: string, options: ExecOptions): Promise<ExecResult> {
    const input = await this.#sendInput(options);
    const began = monotonicMs();
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    let into: Buffer[] | undefined;
    let endedMs = 0;
    let length = 0;
    let window = new Window(this.#channel, '.');
    let stray = '';
    const limit = options.maxOutput ?? DEFAULT_MAX_OUTPUT;
    const take = (bytes: Buffer, broken: (error: unknown) => void) => {
      if (!into) return;
      length += bytes.length;
      if (length > limit) broken(outputLimit(command, limit));
      else into.push(Buffer.from(bytes));
      window.take(bytes.length);
    };
    // While a command runs the agent says nothing: a prompt is that of the bash which came in its place.
    const raw = (chunk: Buffer, broken: (error: unknown) => void) => {
      if (into) return;
      stray = (stray + chunk.subarray(-64).toString('latin1')).slice(-64);
      if (!/bash-\d[\w.]*[#$] $/.test(stray)) return;
      this.#synced = false;
      broken(new QmpilotError('SHELL_LOST', `${this.name} ended while it ran ${describeCommand(command)}`, {
        hint: 'a command that kills its own shell ($$ is the shell itself) ends it; the next command gets a new one',
      }));
    };
    const mark = ({ letter }: Mark) => {
      if (letter === 'B') [into, endedMs] = [stdout, monotonicMs() - began];
      if (letter !== 'O') return;
      [into, length] = [stderr, 0];
      window = new Window(this.#channel, '.');
    };
    let failure: unknown;
    const { timeout, signal } = options;
    const end = await this.#request('exec', `__qc=${bashWord(commandText(command, options))} ${input}`, { timeout, signal }, {
      last: 'X',
      awaited: `${describeCommand(command)} in the guest`,
      bytes: take,
      raw,
      mark,
      abandon: (error) => {
        failure = error;
      },
    });
    const [stdoutBytes, stderrBytes] = [Buffer.concat(stdout), Buffer.concat(stderr)];
    if (failure !== undefined) throw abandoned(failure, command, stdoutBytes, stderrBytes);
    return execResult({ command, via: this.kind, exitCode: Number.parseInt(end.payload.toString(), 10), stdoutBytes, stderrBytes, durationMs: endedMs });
  }

  async #stream(stream: ExecStream, command: string, options: ExecOptions): Promise<void> {
    const input = await this.#sendInput(options);
    const nonce = newNonce();
    const marks = new FlowMarks(stream, this.#channel);
    const reader = new FrameReader(nonce, (bytes) => marks.bytes(bytes), (mark) => marks.mark(mark));
    const undo = [this.#channel.onData((chunk) => reader.push(chunk)), ...this.#breaks((error) => marks.fail(error))];
    try {
      await this.#channel.write(line('flow', nonce, `__qc=${bashWord(commandText(command, options))} ${input}`));
      // The line end is for bash's `read`, which does not return for a signal.
      await marks.end({ timeout: options.timeout }, () => this.#channel.write('\x03\n'));
    } catch (error) {
      this.#synced = false;
      throw error;
    } finally {
      await this.#channel.write(line('done', nonce, '')).catch(() => (this.#synced = false));
      for (const end of undo) end();
    }
  }

  /** Brings the input into the guest; gives the assignment that names where it is. */
  async #sendInput({ input, signal }: ExecOptions): Promise<string> {
    if (input === undefined || input.length === 0) return '__qi=/dev/null';
    const bytes = Buffer.from(input);
    if (bytes.length <= INLINE_INPUT) return `__qi=$__qd/i; printf ${printfFormat(bytes)} >"$__qi"`;
    for (let at = 0; at < bytes.length; at += INPUT_BLOCK) {
      if (signal?.aborted) throw new AbortedError('the guest to take input', signal.reason);
      await this.#sendBlock(bytes.subarray(at, at + INPUT_BLOCK), at > 0);
    }
    return '__qi=$__qd/i';
  }

  async #sendBlock(block: Buffer, append: boolean): Promise<void> {
    let refused: unknown;
    const sent = await this.#request('recv', `${block.length} ${append ? 1 : 0}`, { timeout: 120_000 }, {
      last: 'X',
      awaited: 'the guest to take input',
      mark: ({ letter }) => {
        if (letter === 'R') this.#channel.write(block).catch((error: unknown) => (refused = error));
      },
    });
    if (refused !== undefined) throw refused;
    if (sent.payload.toString() !== '0') {
      throw new QmpilotError('NO_SPACE', 'the guest could not keep the input of a command', { hint: 'make room in its /run' });
    }
  }

  /**
   * Sends one line and waits for the mark that ends its answer. With `abandon`, a wait that ends early kills
   * what runs by Ctrl-C and still gives the end mark, after telling `abandon` why.
   */
  async #request(
    verb: string, argument: string, options: WaitOptions,
    how: {
      last: string; before?: string; awaited?: string;
      bytes?: (bytes: Buffer, broken: (error: unknown) => void) => void; raw?: (chunk: Buffer, broken: (error: unknown) => void) => void; mark?: (mark: Mark) => void; abandon?: (error: unknown) => void;
    },
  ): Promise<Mark> {
    const nonce = newNonce();
    let end: Mark | undefined;
    let arrived = () => {};
    const reader = new FrameReader(nonce, (bytes) => how.bytes?.(bytes, (error) => broken?.(error)), (mark) => {
      how.mark?.(mark);
      if (mark.letter !== how.last) return;
      end = mark;
      arrived();
    });
    let broken: ((error: unknown) => void) | undefined;
    const hear = (chunk: Buffer) => {
      if (end) return;
      reader.push(chunk);
      how.raw?.(chunk, (error) => broken?.(error));
    };
    const undo = [this.#channel.onData(hear), ...this.#breaks((error) => broken?.(error))];
    const wait = (limits: WaitOptions) =>
      awaitWithin<Mark>({ awaited: how.awaited ?? `an answer from ${this.name}` }, limits, (resolve, reject) => {
        broken = reject;
        arrived = () => end && resolve(end);
        arrived();
      });
    try {
      const answer = wait(options);
      this.#channel.write((how.before ?? '') + line(verb, nonce, argument)).catch((error: unknown) => broken?.(error));
      return await answer;
    } catch (error) {
      if (!how.abandon || !isWaitEnd(error)) throw error;
      how.abandon(error);
      const answer = wait({ timeout: ABANDON_MS });
      const interrupt = () => void this.#channel.write('\x03').catch(() => {});
      interrupt();
      const again = setInterval(interrupt, 500);
      try {
        const last = await answer;
        // A Ctrl-C that is still on its way must not meet the next command: the agent answers behind it.
        await this.#ping({ timeout: ABANDON_MS });
        return last;
      } catch {
        this.#synced = false;
        throw error;
      } finally {
        clearInterval(again);
      }
    } finally {
      for (const stop of undo) stop();
    }
  }

  #breaks(broken: (error: unknown) => void): (() => void)[] {
    return [
      this.#channel.onEnd(broken),
      this.#channel.onAttach(() => broken(new QmpilotError('SHELL_LOST', `${this.name}: the vm was restored while a command ran`))),
    ];
  }

  #lost(waitedMs: number, cause: unknown): QmpilotError {
    return new QmpilotError('SHELL_LOST', `${this.name} did not answer for ${Math.round(waitedMs)} ms`, {
      cause,
      evidence: { console: this.#seen.last().join('').slice(-2000).split('\n') },
      hint: this.#everReady
        ? 'the guest hangs or is stopped, or its shell sleeps in D state: look at the serial console'
        : 'the guest must run bash on this console: look at the serial console to see how far it came',
    });
  }
}

/** Begins with a line end of its own: whatever half a line is left from before, it does not swallow the request. */
function line(verb: string, nonce: string, argument: string): string {
  return `\n: qmpilot ${verb} ${nonce} ${argument}${argument ? ' ' : ''}${nonce}\n`;
}

function newNonce(): string {
  return randomBytes(8).toString('hex');
}

function isWaitEnd(error: unknown): boolean {
  return isQmpilotError(error, 'TIMEOUT') || isQmpilotError(error, 'ABORTED') || isQmpilotError(error, 'OUTPUT_LIMIT');
}

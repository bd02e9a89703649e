import { randomBytes } from 'node:crypto';
import type { Client, ClientChannel } from 'ssh2';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { awaitWithin, pause, type WaitOptions } from '../../util/async/deadline.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { commandText } from '../command-text.js';
import { EndMark } from '../end-mark.js';
import { type Command, type ExecOptions } from '../exec-options.js';
import { describeCommand, requireSuccess, type ExecResult } from '../exec-result.js';
import { checkCommand } from '../exec-schema.js';
import { collect, ExecStream, startStream } from '../exec-stream.js';
import { readExitCode } from '../exit-code.js';
import { type Shell } from '../shell.js';
import { remoteCommand } from './guest-script.js';
import { loadSsh2 } from './load-ssh2.js';

/** Where and as whom to connect. */
export interface SshTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** In OpenSSH's or PEM form. */
  readonly privateKey: string;
  /** The host key that the server has to show, as `ssh-ed25519 AAAA...`. */
  readonly hostKey: string;
}

const CONNECT_MS = 30_000;
const KILL_MS = 5000;
const EXEC_TRIES = 6;
/** A mark and a process number. */
const FIRST_LINE = 256;

/** Commands over SSH; several may run at the same time. The connection is made when first needed, and again when it was lost. */
export class SshShell implements Shell {
  readonly name: string;
  readonly kind = 'ssh';
  readonly #target: (options: WaitOptions) => Promise<SshTarget>;
  #connection: Promise<Client> | undefined;
  #closed = false;

  /** @param target asked before each connection: after a restore the port is another one */
  constructor(target: (options: WaitOptions) => Promise<SshTarget>, name = 'shell over ssh') {
    this.#target = target;
    this.name = name;
  }

  async ready(options: WaitOptions = {}): Promise<void> {
    await this.#client({ patience: 60_000, ...options });
  }

  async ping(options: WaitOptions = {}): Promise<void> {
    const { timeout = 5000, signal } = options;
    const result = await this.exec('exit 0', { timeout, signal });
    if (result.exitCode !== 0) throw new QmpilotError('SHELL_LOST', `${this.name} does not run commands`);
  }

  async exec(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return collect(this.stream(command, options), options);
  }

  async expectOk(command: Command, options: ExecOptions = {}): Promise<ExecResult> {
    return requireSuccess(await this.exec(command, options));
  }

  stream(command: Command, options: ExecOptions = {}): ExecStream {
    const source = checkCommand(command, options);
    let channel: ClientChannel | undefined;
    const stream = new ExecStream(source, this.kind, () => {
      channel?.pause();
      channel?.stderr.pause();
      return () => {
        channel?.resume();
        channel?.stderr.resume();
      };
    });
    return startStream(stream, options, (signal) =>
      this.#run(stream, { ...options, timeout: undefined, signal }, (made) => {
        channel = made;
      }),
    );
  }

  close(): void {
    this.#closed = true;
    void this.#connection?.then(
      (client) => client.end(),
      () => {},
    );
    this.#connection = undefined;
  }

  async #run(stream: ExecStream, options: ExecOptions, made: (channel: ClientChannel) => void): Promise<void> {
    const client = await this.#client(options);
    const nonce = randomBytes(12).toString('hex');
    const channel = await this.#open(client, remoteCommand(commandText(stream.command, options, shQuote), nonce));
    made(channel);
    const mark = Buffer.from(`\x01${nonce}`);
    const outputs = {
      stdout: new EndMark(mark, (bytes) => stream.push('stdout', bytes)),
      stderr: new EndMark(mark, (bytes) => first(bytes)),
    };
    let pid: string | undefined;
    let head: Buffer = Buffer.alloc(0);
    // The first line of stderr is ours: which process it is.
    const first = (bytes: Buffer) => {
      if (pid !== undefined) return stream.push('stderr', bytes);
      head = Buffer.concat([head, bytes]);
      const end = head.indexOf(10);
      if (end < 0 && head.length < FIRST_LINE) return;
      pid = head.toString('latin1', nonce.length + 1, Math.max(end, 0));
      stream.push('stderr', head.subarray(end + 1));
    };
    try {
      const said = await awaitWithin<string>(
        { awaited: `${describeCommand(stream.command)} in the guest` },
        {},
        (resolve, reject) => {
          const look = () => {
            const code = /^(\d{1,3})\n/.exec(outputs.stderr.tail ?? '')?.[1];
            if (code !== undefined && outputs.stdout.tail !== undefined) resolve(code);
          };
          channel.on('data', (chunk: Buffer) => {
            outputs.stdout.push(chunk);
            look();
          });
          channel.stderr.on('data', (chunk: Buffer) => {
            outputs.stderr.push(chunk);
            look();
          });
          channel.on('close', () => {
            outputs.stdout.end();
            outputs.stderr.end();
            reject(
              new QmpilotError(
                'SHELL_LOST',
                `${this.name}: the connection ended while ${describeCommand(stream.command)} ran`,
                {
                  hint: 'the guest may be off, restored or without network; the next command connects again',
                },
              ),
            );
          });
          channel.on('error', reject);
          channel.on('error', () => {});
          channel.stdin.on('error', () => {});
          channel.end(Buffer.from(options.input ?? ''));
          void stream.stopped.then(reject);
        },
      );
      stream.finish(readExitCode(said, this.name));
    } catch (error) {
      stream.discard();
      if (!isQmpilotError(error, 'SHELL_LOST')) await this.#kill(client, () => pid, channel);
      stream.fail(error);
    } finally {
      channel.close();
    }
  }

  /**
   * Kills a command, also one that has not said its process id yet.
   * @throws never: when the connection is dead there is nothing left to kill by
   */
  async #kill(client: Client, pid: () => string | undefined, channel: ClientChannel): Promise<void> {
    await awaitWithin<void>({ awaited: 'a killed command to end' }, { patience: KILL_MS }, (resolve, reject) => {
      let sent = false;
      const look = () => {
        const id = pid();
        if (sent || id === undefined) return;
        sent = true;
        if (!/^\d+$/.test(id)) return resolve();
        this.#open(client, `kill -s KILL -- -${id} || kill -s KILL ${id}`).then((killer) => {
          killer.on('close', () => resolve());
          killer.resume();
          killer.stderr.resume();
        }, reject);
      };
      channel.on('close', () => resolve());
      channel.stderr.on('data', look);
      look();
    }).catch(() => {});
  }

  async #open(client: Client, command: string): Promise<ClientChannel> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await awaitWithin<ClientChannel>(
          { awaited: `${this.name} to take a command` },
          { patience: CONNECT_MS },
          (resolve, reject) => {
            client.exec(command, (error, channel) => (error ? reject(this.#lost(error)) : resolve(channel)));
          },
        );
      } catch (error) {
        // dropbear refuses a command while it is still ending the one before; a refused command has not begun.
        if (tries === EXEC_TRIES || !isQmpilotError(error, 'SHELL_LOST') || !error.message.endsWith('Unable to exec'))
          throw error;
        await pause(50 * tries);
      }
    }
  }

  async #client(options: WaitOptions): Promise<Client> {
    if (this.#closed) throw new QmpilotError('CLOSED', `${this.name} was closed`);
    this.#connection ??= this.#connect(options);
    const mine = this.#connection;
    return mine.catch((error: unknown) => {
      if (this.#connection === mine) this.#connection = undefined;
      throw error;
    });
  }

  async #connect(options: WaitOptions): Promise<Client> {
    const target = await this.#target({ signal: options.signal });
    const [, hostKey = ''] = target.hostKey.split(' ');
    const pinned = Buffer.from(hostKey, 'base64');
    const { Client: SshClient } = await loadSsh2();
    const client = new SshClient();
    const forget = () => {
      this.#connection = undefined;
    };
    client.on('close', forget);
    client.on('error', forget);
    return awaitWithin<Client>(
      { awaited: `${this.name} to connect`, defaultTimeout: CONNECT_MS },
      { signal: options.signal, timeout: options.timeout, patience: options.patience },
      (resolve, reject) => {
        client.on('ready', () => resolve(client));
        client.on('error', (error) => reject(this.#lost(error)));
        client.on('close', () => reject(this.#lost(new Error('the connection was closed'))));
        client.connect({
          host: target.host,
          port: target.port,
          username: target.user,
          privateKey: target.privateKey,
          hostVerifier: (key: Buffer) => pinned.length > 0 && key.equals(pinned),
          readyTimeout: 0,
          keepaliveInterval: 10_000,
        });
      },
    ).catch((error: unknown) => {
      client.destroy();
      throw error;
    });
  }

  #lost(cause: Error): QmpilotError {
    return new QmpilotError('SHELL_LOST', `${this.name}: ${cause.message}`, {
      cause,
      hint: "check the guest's network and its SSH daemon",
    });
  }
}

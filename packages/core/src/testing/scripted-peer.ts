import { duplexPair, type Duplex } from 'node:stream';

const GREETING = { QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 }, package: '' }, capabilities: ['oob'] } };

/** A command as the client sent it. */
export interface Asked {
  readonly 'execute'?: string;
  readonly 'exec-oob'?: string;
  readonly 'arguments'?: Readonly<Record<string, unknown>>;
  readonly 'id': number;
}

/**
 * The QEMU side of a QMP connection, scripted by a test: answers late, in the wrong order, broken or never.
 * It answers `qmp_capabilities` itself; everything else is left to `onAsked` and {@link ScriptedPeer.answer}.
 */
export class ScriptedPeer {
  /** The end for the client under test. */
  readonly stream: Duplex;
  /** All commands of the client so far, `qmp_capabilities` included. */
  readonly asked: Asked[] = [];
  /** Is called for each command except `qmp_capabilities`. */
  onAsked: ((asked: Asked) => void) | undefined;
  readonly #far: Duplex;
  #rest = '';

  constructor() {
    [this.stream, this.#far] = duplexPair();
    this.#far.on('error', () => {});
    this.#far.on('data', (chunk: Buffer) => {
      const lines = (this.#rest + chunk.toString()).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#take(JSON.parse(line.replace(/^\uFFFD/, '')) as Asked);
    });
  }

  /** Returns a peer that has sent QEMU's greeting, or the given one. */
  static greeting(greeting: object = GREETING): ScriptedPeer {
    const peer = new ScriptedPeer();
    peer.say(greeting);
    return peer;
  }

  /** Sends messages to the client, one JSON line each. */
  say(...messages: readonly object[]): void {
    this.write(messages.map((message) => `${JSON.stringify(message)}\r\n`).join(''));
  }

  /** Sends bytes as they are, for messages that are cut or are not JSON. */
  write(bytes: string | Buffer): void {
    this.#far.write(bytes);
  }

  /** Answers a command with success and this return value. */
  answer(asked: Asked | undefined, value: unknown = {}): void {
    this.say({ return: value, id: asked?.id });
  }

  /** Closes the connection, as QEMU does when it quits. */
  end(): void {
    this.#far.end();
  }

  /** Breaks the connection with this error. */
  fail(error: Error): void {
    this.stream.destroy(error);
  }

  #take(asked: Asked): void {
    this.asked.push(asked);
    if (asked.execute === 'qmp_capabilities') this.answer(asked);
    else this.onAsked?.(asked);
  }
}

/** Resolves when messages that were sent in memory have been delivered: 20 turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

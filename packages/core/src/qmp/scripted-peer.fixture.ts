import { duplexPair, type Duplex } from 'node:stream';

const GREETING = { QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 }, package: '' }, capabilities: ['oob'] } };

export interface Asked {
  readonly 'execute'?: string;
  readonly 'exec-oob'?: string;
  readonly 'arguments'?: Readonly<Record<string, unknown>>;
  readonly 'id': number;
}

/** The other side of a QMP link, for faults that no real QEMU makes. */
export class ScriptedPeer {
  /** The client's side. */
  readonly stream: Duplex;
  /** All that the client asked, `qmp_capabilities` included. */
  readonly asked: Asked[] = [];
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

  /** A peer that greets and negotiates as QEMU does. */
  static greeting(greeting: object = GREETING): ScriptedPeer {
    const peer = new ScriptedPeer();
    peer.say(greeting);
    return peer;
  }

  say(...messages: readonly object[]): void {
    this.write(messages.map((message) => `${JSON.stringify(message)}\r\n`).join(''));
  }

  write(bytes: string | Buffer): void {
    this.#far.write(bytes);
  }

  answer(asked: Asked | undefined, value: unknown = {}): void {
    this.say({ return: value, id: asked?.id });
  }

  end(): void {
    this.#far.end();
  }

  fail(error: Error): void {
    this.stream.destroy(error);
  }

  #take(asked: Asked): void {
    this.asked.push(asked);
    if (asked.execute === 'qmp_capabilities') this.answer(asked);
    else this.onAsked?.(asked);
  }
}

/** Lets everything that is under way in memory arrive. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

import { Duplex } from 'node:stream';

/** One end of the pair: its peer reads what is written to it. */
class End extends Duplex {
  peer: End | undefined;
  #release: (() => void) | undefined;

  override _read(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const peer = this.peer;
    if (!peer || peer.destroyed) done(new Error('write EPIPE'));
    else if (peer.push(chunk)) done();
    else peer.#release = done;
  }

  override _final(done: () => void): void {
    this.peer?.push(null);
    done();
  }
}

/**
 * Returns two connected streams in memory, like a socket between a client and a console: each reads what is written to the other.
 * The end of one and its backpressure reach the other; writing to a destroyed peer fails with `write EPIPE`.
 */
export function duplexPair(): [Duplex, Duplex] {
  const [a, b] = [new End(), new End()];
  a.peer = b;
  b.peer = a;
  for (const end of [a, b]) end.on('error', () => {});
  return [a, b];
}

import { Duplex } from 'node:stream';

/** One end of a pair of streams in memory: what it is written, its peer reads. Ends and backpressure go across. */
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

export function duplexPair(): [Duplex, Duplex] {
  const [a, b] = [new End(), new End()];
  a.peer = b;
  b.peer = a;
  for (const end of [a, b]) end.on('error', () => {});
  return [a, b];
}

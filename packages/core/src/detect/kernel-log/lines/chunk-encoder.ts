/** Encodes text that comes in pieces: a pair of surrogates may be cut in two by the caller. */
export class ChunkEncoder {
  readonly #encoder = new TextEncoder();
  #heldSurrogate = '';

  encode(text: string): Uint8Array {
    const whole = this.#heldSurrogate + text;
    const last = whole.charCodeAt(whole.length - 1);
    const held = last >= 0xd800 && last <= 0xdbff;
    this.#heldSurrogate = held ? whole.slice(-1) : '';
    return this.#encoder.encode(held ? whole.slice(0, -1) : whole);
  }
}

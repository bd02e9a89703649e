import type { Channel } from '../../console/channel.js';

/** The helper may send a few of these ahead: see guest-helper.ts. */
const UNIT_BYTES = 16_384;

/** Tells the helper how much of an output has been taken. */
export class Window {
  readonly #channel: Channel;
  readonly #letter: string;
  #taken = 0;

  constructor(channel: Channel, letter: '.' | '!') {
    this.#channel = channel;
    this.#letter = letter;
  }

  take(bytes: number): void {
    const before = Math.floor(this.#taken / UNIT_BYTES);
    this.#taken += bytes;
    const units = Math.floor(this.#taken / UNIT_BYTES) - before;
    // A channel that has ended rejects the command.
    if (units > 0) void this.#channel.write(`${this.#letter}\n`.repeat(units)).catch(() => {});
  }
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { QmpilotError } from '../../errors.js';

const MAC_BYTES = 32;
const MIN_KEY_CHARACTERS = 16;

/** What is signed: a signature of one kind is not valid for another. */
export type SealKind = 'run' | 'attempt' | 'message' | 'live';

/** The key that the coordinator of a run and its workers share. */
export class QueueKey {
  readonly #key: Buffer;
  /** Names the key without telling it. */
  readonly id: string;

  /** @throws {USAGE} when there is no key, or a short one */
  constructor(text: string | undefined) {
    if (text === undefined || text === '')
      throw new QmpilotError('USAGE', 'no key for the queue', {
        hint: 'a worker runs the code of the runs that it takes, so they are signed: set QMPILOT_QUEUE_KEY to the same secret for the run and for its workers, such as the output of openssl rand -hex 32',
      });
    if (text.length < MIN_KEY_CHARACTERS)
      throw new QmpilotError('USAGE', `the key of the queue has fewer than ${MIN_KEY_CHARACTERS} characters`, {
        hint: 'set QMPILOT_QUEUE_KEY to a longer one, such as the output of openssl rand -hex 32',
      });
    this.#key = Buffer.from(text);
    this.id = this.#mac('name', '', Buffer.alloc(0)).toString('hex').slice(0, 12);
  }

  /** Returns the body behind its signature. `scope`: the run that it belongs to. */
  seal(kind: SealKind, scope: string, body: Buffer): Buffer {
    return Buffer.concat([this.#mac(kind, scope, body), body]);
  }

  /** Returns the body; undefined when its signature is not that of this key, kind and run. */
  open(kind: SealKind, scope: string, sealed: Buffer): Buffer | undefined {
    if (sealed.length < MAC_BYTES) return undefined;
    const body = sealed.subarray(MAC_BYTES);
    return timingSafeEqual(sealed.subarray(0, MAC_BYTES), this.#mac(kind, scope, body)) ? body : undefined;
  }

  #mac(kind: string, scope: string, body: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(`qmpilot ${kind}\0${scope}\0`).update(body).digest();
  }
}

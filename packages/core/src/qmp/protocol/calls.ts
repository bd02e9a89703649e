import { QmpilotError } from '../../errors.js';
import type { Answer } from './answer.js';

/** QMP_REQ_QUEUE_LEN_MAX of QEMU's monitor/monitor-internal.h: beyond it QEMU stops reading, out-of-band commands too. */
export const MAX_IN_BAND = 8;

export interface Call {
  readonly id: number;
  readonly command: string;
  readonly outOfBand: boolean;
  readonly text: string;
  resolve: ((answer: Answer) => void) | undefined;
  reject: ((error: QmpilotError) => void) | undefined;
}

/**
 * The calls that wait for an answer, and the in-band ones that wait for their turn. A call that its caller gave up
 * keeps its place until QEMU answers it: QEMU still works on it, and its answer is then dropped.
 */
export class CallTable {
  readonly #send: (text: string) => void;
  readonly #maxInBand: number;
  readonly #flying = new Map<number, Call>();
  readonly #queued = new Set<Call>();
  #inBand = 0;

  constructor(send: (text: string) => void, maxInBand: number) {
    this.#send = send;
    this.#maxInBand = maxInBand;
  }

  get inFlight(): number {
    return this.#flying.size;
  }

  get queued(): number {
    return this.#queued.size;
  }

  add(call: Call): void {
    if (!call.outOfBand && this.#inBand >= this.#maxInBand) this.#queued.add(call);
    else this.#dispatch(call);
  }

  /** The caller no longer waits: a queued call is never sent, a sent one has its answer dropped. */
  abandon(call: Call): void {
    this.#queued.delete(call);
    call.resolve = undefined;
    call.reject = undefined;
  }

  /** @returns false when no call has this id */
  settle(id: unknown, answer: Answer): boolean {
    if (typeof id !== 'number') return false;
    const call = this.#flying.get(id);
    if (!call) return false;
    this.#flying.delete(id);
    if (!call.outOfBand) {
      this.#inBand--;
      for (const next of this.#queued) {
        this.#queued.delete(next);
        this.#dispatch(next);
        break;
      }
    }
    call.resolve?.(answer);
    return true;
  }

  /** Rejects every call with an error of its own, whose cause is the first cause. */
  failAll(reason: QmpilotError): void {
    const calls = [...this.#flying.values(), ...this.#queued];
    this.#flying.clear();
    this.#queued.clear();
    this.#inBand = 0;
    for (const call of calls) call.reject?.(linkEnded(call.command, reason));
  }

  #dispatch(call: Call): void {
    if (!call.outOfBand) this.#inBand++;
    this.#flying.set(call.id, call);
    this.#send(call.text);
  }
}

export function linkEnded(doing: string, reason: QmpilotError): QmpilotError {
  return new QmpilotError('QMP_LINK', `${doing}: the link ended before the answer: ${reason.message}`, {
    cause: reason,
    ...(reason.hint !== undefined && { hint: reason.hint }),
  });
}

/**
 * One command as a line of JSON.
 * @throws {USAGE} for arguments that JSON cannot hold
 */
export function encodeCommand(
  verb: 'execute' | 'exec-oob',
  command: string,
  args: object | undefined,
  id: number,
): string {
  try {
    return `${JSON.stringify(args === undefined ? { [verb]: command, id } : { [verb]: command, arguments: args, id })}\r\n`;
  } catch (cause) {
    throw new QmpilotError('USAGE', `${command}: the arguments cannot be written as JSON`, {
      cause,
      hint: 'give plain objects, arrays, strings, numbers and booleans; no bigint, no cycles',
    });
  }
}

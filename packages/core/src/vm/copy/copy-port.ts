import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Channel } from '../../console/channel.js';
import { QmpilotError } from '../../errors.js';
import { COPY_PORT } from '../../qemu/command-line/arguments.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { Listeners } from '../../util/async/listeners.js';
import { monotonicMs } from '../../util/time/clock.js';

/** Pieces that may be under way to the guest. */
const WINDOW = 2;
/** Others do not wait for a copy that has not moved for this long. */
const STALLED_MS = 15_000;
/** Limit for the guest to take what is under way, before it continues in another QEMU. */
const SETTLE_MS = 2000;
/** Limit for what the guest sent before its script ended. */
const LAST_BYTES_MS = 10_000;
const LOOK_MS = 250;
const NEW_LINE = 10;

/** Exit status of a script that cannot open the port: the guest has none, or another program has it open. */
export const NO_PORT = 18;

/** Script that opens the port as descriptor 3, or ends with `NO_PORT`. One program at a time can have it open. */
export const OPEN_PORT =
  'port=; for name in /sys/class/virtio-ports/*/name; do ' +
  `{ IFS= read -r line <"$name"; } 2>/dev/null && [ "$line" = ${COPY_PORT} ] && { name=\${name%/name}; port=/dev/\${name##*/}; break; }; done; ` +
  `[ -c "$port" ] || exit ${NO_PORT}; { exec 3<>"$port"; } 2>/dev/null || exit ${NO_PORT}`;

/** The virtio port of a guest through which files are copied: bytes as they are, with backpressure both ways. One copy at a time has it. */
export class CopyPort {
  readonly #channel: Channel;
  #use: PortUse | undefined;
  /** Bytes for a copy that ended early may still be on their way to the guest. */
  #isDirty = false;
  #holds = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * Reserves the port for one copy; returns undefined when another copy has it and makes no progress.
   * @throws {ABORTED}
   */
  async reserve(options: WaitOptions): Promise<PortUse | undefined> {
    for (let other = this.#use; other; other = this.#use) if (!(await other.awaitEnd(options))) return undefined;
    const use: PortUse = new PortUse(this.#channel, {
      isDirty: this.#isDirty,
      isHeld: () => this.#holds > 0,
      release: (isDirty) => {
        this.#isDirty = isDirty;
        this.#use = undefined;
      },
    });
    this.#use = use;
    return use;
  }

  /**
   * Makes copies wait until the returned function is called; resolves when nothing is on its way to the guest. A copy whose data the
   * guest does not take within 2 s fails.
   */
  async hold(): Promise<() => void> {
    this.#holds += 1;
    await this.#use?.settle();
    return () => {
      this.#holds -= 1;
      this.#use?.continue();
    };
  }
}

/** How a copy is made. */
export interface WithPort {
  /** Unset, or where the guest cannot open it, the copy is sent over the shell's console. */
  readonly port?: CopyPort | undefined;
}

interface Reservation {
  readonly isDirty: boolean;
  readonly isHeld: () => boolean;
  readonly release: (isDirty: boolean) => void;
}

/** One copy's use of the port. */
export class PortUse {
  readonly #channel: Channel;
  readonly #reservation: Reservation;
  readonly #forget: () => void;
  readonly #moved = new Listeners<void>();
  /** The guest's script says this line first. */
  readonly #nonce = randomBytes(16).toString('hex');
  readonly #endMark = randomBytes(16).toString('hex');
  #movedAt = monotonicMs();
  #state: 'new' | 'begun' | 'complete' | 'released' = 'new';
  #failure: unknown;
  /** The last bytes, in which a mark may have begun. */
  #rest = Buffer.alloc(0);
  #underWay = 0;
  #hasSent = false;
  #received: Readable | undefined;
  #resumeReading: (() => void) | undefined;

  constructor(channel: Channel, reservation: Reservation) {
    this.#channel = channel;
    this.#reservation = reservation;
    this.#forget = channel.onData((chunk) => this.#take(chunk));
  }

  /** Script that writes to its standard output what `send` sends. `OPEN_PORT` comes before it. */
  get receiving(): string {
    // `read` takes single bytes, and so none behind the line; sed is faster, and nothing follows before the answer.
    const skip = this.#reservation.isDirty
      ? `LC_ALL=C sed -n '/^${this.#nonce}$/q' <&3`
      : `while IFS= read -r line <&3; do [ "$line" = ${this.#nonce} ] && break; done`;
    return (
      `printf '%s\\n' ${this.#nonce} >&3; ${skip}; printf . >&3; ` +
      `while IFS= read -r bytes <&3; do [ "$bytes" -gt 0 ] || { printf . >&3; break; }; head -c "$bytes" <&3 || exit; printf . >&3; done`
    );
  }

  /** Script that sends the standard output of `source`, and ends with its exit status. `OPEN_PORT` comes before it. */
  sending(source: string): string {
    return `printf '%s\\n' ${this.#nonce} >&3; ( ${source} ) >&3 3>&-; status=$?; printf %s ${this.#endMark} >&3; exit "$status"`;
  }

  /**
   * Sends one piece to the guest's script; resolves when it is written.
   * @throws {ABORTED} {CONSOLE_CLOSED}
   * @throws {COPY_FAILED} when the guest did not take what was under way while a snapshot was taken
   */
  async send(piece: Buffer, signal: AbortSignal): Promise<void> {
    await this.#begin(signal);
    await this.#until(() => !this.#reservation.isHeld() && this.#underWay < WINDOW, signal);
    this.#underWay += 1;
    await this.#channel.write(`${piece.length}\n`, { signal });
    await this.#channel.write(piece, { signal });
    this.#movedAt = monotonicMs();
  }

  /** Ends what `send` sends; resolves when the script has read all of it. Throws what `send` throws. */
  async finish(signal: AbortSignal): Promise<void> {
    await this.#begin(signal);
    await this.#until(() => !this.#reservation.isHeld(), signal);
    this.#underWay += 1;
    await this.#channel.write('0\n', { signal });
    await this.#until(() => this.#underWay === 0, signal);
    this.#state = 'complete';
  }

  /** Resolves when the guest's script has opened the port. Throws what `send` throws. */
  awaitScript(signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#state !== 'new', signal);
  }

  /** What the script of `sending` sends. Call it before the script starts. */
  receive(): Readable {
    this.#received ??= new Readable({
      read: () => {
        this.#resumeReading?.();
        this.#resumeReading = undefined;
      },
    });
    return this.#received;
  }

  /** Tells that the script of `sending` has ended: its last bytes are there soon, or are lost. */
  scriptEnded(): void {
    this.#movedAt = monotonicMs();
    const look = setInterval(() => {
      const isOver = this.#state === 'complete' || this.#state === 'released';
      if (!isOver && (this.#resumeReading || monotonicMs() - this.#movedAt < LAST_BYTES_MS)) return;
      clearInterval(look);
      if (!isOver) this.fail(new QmpilotError('COPY_FAILED', 'the guest ended a copy without its last bytes'));
    }, LOOK_MS);
  }

  /** Makes the copy fail. */
  fail(error: unknown): void {
    this.#failure ??= error;
    this.#received?.destroy(error instanceof Error ? error : new Error(String(error)));
    this.#moved.emit();
  }

  /** Gives the port back. */
  release(): void {
    if (this.#state === 'released') return;
    const isDirty = this.#state !== 'complete' && (this.#reservation.isDirty || this.#hasSent);
    this.#state = 'released';
    this.#forget();
    this.#resumeReading?.();
    this.#reservation.release(isDirty);
    this.#moved.emit();
  }

  /** Resolves with true when the port is free, and with false when its copy makes no progress. @throws {ABORTED} */
  awaitEnd(options: WaitOptions): Promise<boolean> {
    return awaitWithin({ awaited: 'another copy to end' }, options, (resolve) => {
      const forget = this.#moved.add(() => this.#state === 'released' && resolve(true));
      const look = setInterval(() => monotonicMs() - this.#movedAt > STALLED_MS && resolve(false), LOOK_MS);
      return () => {
        forget();
        clearInterval(look);
      };
    });
  }

  /** Resolves when nothing is on its way to the guest; what the guest does not take in time makes the copy fail. */
  async settle(): Promise<void> {
    await this.#until(() => this.#underWay === 0, undefined, SETTLE_MS).catch(() =>
      this.fail(
        new QmpilotError('COPY_FAILED', 'the guest did not take the data of a copy while a snapshot was taken', {
          hint: 'copy before or after the snapshot',
        }),
      ),
    );
  }

  /** Continues after a hold. */
  continue(): void {
    this.#moved.emit();
  }

  async #begin(signal: AbortSignal): Promise<void> {
    if (this.#hasSent) return;
    // Another program that has the port open must not get any of it.
    await this.#until(() => this.#state === 'begun' && !this.#reservation.isHeld(), signal);
    this.#hasSent = true;
    this.#underWay += 1;
    await this.#channel.write(`\n${this.#nonce}\n`, { signal });
    await this.#until(() => this.#underWay === 0, signal);
  }

  #until(condition: () => boolean, signal: AbortSignal | undefined, patience?: number): Promise<void> {
    return awaitWithin<void>({ awaited: 'the guest to continue a copy' }, { signal, patience }, (resolve, reject) => {
      const look = () => {
        if (this.#failure !== undefined || this.#state === 'released') reject(this.#failure ?? new Error('released'));
        else if (condition()) resolve();
      };
      const forget = this.#moved.add(look);
      look();
      return forget;
    });
  }

  #take(chunk: Buffer): void {
    this.#movedAt = monotonicMs();
    let bytes = chunk;
    if (this.#state === 'new') {
      const seen = Buffer.concat([this.#rest, chunk]);
      const at = seen.indexOf(this.#nonce);
      const end = at === -1 ? -1 : seen.indexOf(NEW_LINE, at);
      this.#rest = end === -1 ? seen.subarray(-2 * this.#nonce.length) : Buffer.alloc(0);
      if (end === -1) return;
      bytes = seen.subarray(end + 1);
      this.#state = 'begun';
    }
    if (this.#received) this.#give(this.#received, bytes);
    else this.#underWay = Math.max(0, this.#underWay - bytes.toString('latin1').split('.').length + 1);
    this.#moved.emit();
  }

  /** Passes on what comes before the end mark. */
  #give(received: Readable, bytes: Buffer): void {
    if (this.#state !== 'begun') return;
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    const end = all.indexOf(this.#endMark);
    const safe = end === -1 ? Math.max(0, all.length - this.#endMark.length + 1) : end;
    this.#rest = Buffer.from(all.subarray(safe));
    if (safe > 0 && !received.push(all.subarray(0, safe))) this.#resumeReading ??= this.#channel.hold();
    if (end === -1) return;
    this.#state = 'complete';
    received.push(null);
  }
}

import { QmpilotError } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/deadline.js';
import { linkEnded } from './calls.js';
import { EventStream, type EventStreamOptions } from './event-stream.js';
import type { QmpEvent, QmpEventName } from './protocol.js';

export type EventListener<E extends QmpEvent = QmpEvent> = (event: E) => void;
export type EventOf<N extends QmpEventName> = Extract<QmpEvent, { event: N }>;

export interface WaitForOptions<E extends QmpEvent = QmpEvent> extends WaitOptions {
  /** Only an event for which this holds ends the wait. */
  readonly filter?: (event: E) => boolean;
}

/** Hands every event to every listener, in the order of registration, each independent of the others. */
export class EventHub {
  #listeners = new Set<EventListener>();
  readonly #enders = new Set<(reason: QmpilotError | undefined) => void>();
  #ended: { reason: QmpilotError | undefined } | undefined;

  emit(event: QmpEvent): void {
    // A listener added by another listener starts with the next event; one removed by another gets nothing any more.
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue;
      try {
        listener(event);
      } catch (error) {
        // A listener's fault is its owner's: it surfaces as an uncaught exception and costs no other listener its event.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  /** Ends all streams and waits. Listeners stay registered: they serve the next link after a reconnect. */
  end(reason: QmpilotError | undefined): void {
    this.#ended = { reason };
    const enders = [...this.#enders];
    this.#enders.clear();
    for (const ender of enders) ender(reason);
  }

  /** The hub of the next link: the listeners are shared with it, streams and waits are not. */
  successor(): EventHub {
    const next = new EventHub();
    next.#listeners = this.#listeners;
    return next;
  }

  on(listener: EventListener): () => void {
    // Wrapped, so that the same function registered twice is called twice and removed once.
    const own: EventListener = (event) => listener(event);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  stream<E extends QmpEvent>(matches: (event: QmpEvent) => event is E, options: EventStreamOptions): EventStream<E> {
    const stream: EventStream<E> = new EventStream(options, () => {
      off();
      this.#enders.delete(end);
    });
    const end = (reason: QmpilotError | undefined) => stream.end(reason);
    const off = this.on((event) => {
      if (matches(event)) stream.push(event);
    });
    if (this.#ended) stream.end(this.#ended.reason);
    else this.#enders.add(end);
    return stream;
  }

  waitFor<E extends QmpEvent>(
    matches: (event: QmpEvent) => event is E,
    label: string,
    options: WaitForOptions<E>,
  ): Promise<E> {
    const promise = awaitWithin<E>({ awaited: `the event ${label}` }, options, (resolve, reject) => {
      const ender = (reason: QmpilotError | undefined) =>
        reject(linkEnded(`waiting for the event ${label}`, reason ?? closedCleanly()));
      if (this.#ended) return ender(this.#ended.reason);
      const off = this.on((event) => {
        if (!matches(event)) return;
        try {
          if (options.filter?.(event) ?? true) resolve(event);
        } catch (error) {
          reject(error);
        }
      });
      this.#enders.add(ender);
      return () => {
        off();
        this.#enders.delete(ender);
      };
    });
    // The wait is begun before its command: if the command fails, nobody may be left to await this one.
    promise.catch(() => {});
    return promise;
  }
}

function closedCleanly(): QmpilotError {
  return new QmpilotError('QMP_LINK', 'the link was closed');
}

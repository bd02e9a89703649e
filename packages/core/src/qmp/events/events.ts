import { QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { linkEnded } from '../protocol/calls.js';
import type { QmpEvent, QmpEventName, QmpEventOf, UntypedQmpEvent } from '../protocol/messages.js';
import { EventStream, type EventStreamOptions } from './event-stream.js';

/** Called with each event that is meant. */
export type EventListener<E extends UntypedQmpEvent = QmpEvent> = (event: E) => void;

/** Which events are meant: those of one name, of several, or those for which a function holds. */
export type EventFilter<N extends QmpEventName> = N | readonly N[] | ((event: QmpEvent) => boolean);

export interface WaitForOptions<E extends UntypedQmpEvent = QmpEvent> extends WaitOptions {
  /** Only an event for which this holds ends the wait. */
  readonly filter?: (event: E) => boolean;
}

type AnyListener = (event: UntypedQmpEvent) => void;

/** Calls every listener for every event, in the order of registration. Listeners do not affect each other. */
export class EventHub {
  #listeners = new Set<AnyListener>();
  readonly #enders = new Set<(reason: QmpilotError | undefined) => void>();
  #ended: { reason: QmpilotError | undefined } | undefined;

  emit(event: UntypedQmpEvent): void {
    // A listener added by another one starts with the next event; one that was removed is not called.
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue;
      try {
        listener(event);
      } catch (error) {
        // An error of a listener becomes an uncaught exception; the other listeners still get the event.
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

  on(listener: AnyListener): () => void {
    // Wrapped, so that the same function registered twice is called twice and removed once.
    const own: AnyListener = (event) => listener(event);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  stream<E extends UntypedQmpEvent>(
    matches: (event: UntypedQmpEvent) => event is E,
    options: EventStreamOptions,
  ): EventStream<E> {
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

  waitFor<E extends UntypedQmpEvent>(
    matches: (event: UntypedQmpEvent) => event is E,
    label: string,
    options: WaitForOptions<E>,
  ): Promise<E> {
    const promise = awaitWithin<E>({ awaited: label }, options, (resolve, reject) => {
      const ender = (reason: QmpilotError | undefined) =>
        reject(linkEnded(`waiting for ${label}`, reason ?? closedCleanly()));
      if (this.#ended) return ender(this.#ended.reason);
      const off = this.on((event) => {
        try {
          if (matches(event) && (options.filter?.(event) ?? true)) resolve(event);
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
    // The wait begins before its command: when the command fails, this promise may never be awaited.
    promise.catch(() => {});
    return promise;
  }
}

/** The test behind a filter; the names of a filter are few, so they are compared one by one. */
export function matcher<N extends QmpEventName>(
  filter: EventFilter<N> | undefined,
): (event: UntypedQmpEvent) => event is QmpEventOf<N> {
  if (filter === undefined) return (_event): _event is QmpEventOf<N> => true;
  if (typeof filter === 'function') return (event): event is QmpEventOf<N> => filter(event as QmpEvent);
  const names: readonly string[] = typeof filter === 'string' ? [filter] : filter;
  return (event): event is QmpEventOf<N> => names.includes(event.event);
}

/** Describes what a filter waits for, for an error. */
export function describeFilter<N extends QmpEventName>(filter: EventFilter<N>): string {
  if (typeof filter === 'function') return 'an event that the filter wants';
  return `the event ${typeof filter === 'string' ? filter : filter.join(' or ')}`;
}

function closedCleanly(): QmpilotError {
  return new QmpilotError('QMP_LINK', 'the link was closed');
}

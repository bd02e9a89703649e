import { isObject } from '../../util/validation/is-object.js';
import type { OutOfBandCommand, QmpCommands, QmpEvents } from '../schema/generated/qmp.js';
import type { JsonObject } from './link.js';

export type { OutOfBandCommand, QmpCommands, QmpEvents } from '../schema/generated/qmp.js';
/** A command that the schema of QEMU 7.2 to 11.1 knows. */
export type QmpCommandName = keyof QmpCommands;
/** The arguments of a command, as QEMU 7.2 to 11.1 take them: `QmpArguments<'blockdev-add'>`. */
export type QmpArguments<C extends QmpCommandName> = QmpCommands[C]['arguments'];
/** The return type of a command: `QmpReturn<'query-status'>`. */
export type QmpReturn<C extends QmpCommandName> = QmpCommands[C]['returns'];
/** A command that QEMU runs out of band, while others are at work. */
export type QmpOutOfBandCommandName = OutOfBandCommand;
/** An event that the schema of QEMU 7.2 to 11.1 knows. */
export type QmpEventName = keyof QmpEvents;

/** Commands that start a job of the id given as `job-id`. */
export type QmpJobCommandName = {
  [C in QmpCommandName]: string extends keyof QmpArguments<C>
    ? never
    : 'job-id' extends keyof QmpArguments<C>
      ? C
      : never;
}[QmpCommandName];

/** An event as QEMU sends it, whatever its name. */
export interface UntypedQmpEvent {
  readonly event: string;
  readonly data: object;
  /** The host's wall clock; both are -1 where QEMU could not read it. */
  readonly timestamp: { readonly seconds: number; readonly microseconds: number };
}

/** An event of one name: `QmpEventOf<'SHUTDOWN'>`. */
export interface QmpEventOf<N extends QmpEventName> extends UntypedQmpEvent {
  readonly event: N;
  readonly data: QmpEvents[N];
}

/** Any event that the committed schema knows, told apart by `event`. A newer QEMU may send others: they come as well. */
export type QmpEvent = { [N in QmpEventName]: QmpEventOf<N> }[QmpEventName];

/** @returns undefined for what is not an event */
export function toEvent(message: JsonObject): UntypedQmpEvent | undefined {
  const { event, data, timestamp } = message;
  if (typeof event !== 'string') return undefined;
  const { seconds, microseconds } = isObject(timestamp) ? timestamp : {};
  return {
    event,
    data: isObject(data) ? data : {},
    timestamp: {
      seconds: typeof seconds === 'number' ? seconds : -1,
      microseconds: typeof microseconds === 'number' ? microseconds : -1,
    },
  };
}

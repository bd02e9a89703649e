import { all, any, until } from './combine.js';
import { forCommand } from './command.js';
import { forFile } from './file.js';
import { forPort } from './port.js';
import { forSocket } from './socket.js';
import { forText } from './text.js';
import { forUnit } from './unit.js';
import type { Wait as Condition } from './wait.js';

/** A condition to wait for, as a value. */
export type Wait<T = unknown> = Condition<T>;

/** Makes conditions for `vm.waitFor`. */
export const Wait = {
  /** A systemd unit reaches a state. */
  forUnit,
  /** A TCP port in the guest accepts or refuses connections. */
  forPort,
  /** A path in the guest exists, or does not. */
  forFile,
  /** A process listens on a Unix socket in the guest. */
  forSocket,
  /** Text is on the console or on its screen. */
  forText,
  /** A command in the guest succeeds, or fails. */
  forCommand,
  /** A function returns something truthy. */
  until,
  /** All conditions are met in one round of probes. */
  all,
  /** One of the conditions is met. */
  any,
} as const;

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
export const Wait = { forUnit, forPort, forFile, forSocket, forText, forCommand, until, all, any } as const;

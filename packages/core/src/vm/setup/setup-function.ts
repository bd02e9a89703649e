import * as v from 'valibot';
import type { Duration } from '../../util/time/duration.js';
import { DURATION } from '../../util/validation/schemas.js';
import type { Vm } from '../vm.js';

/** A setup of an image that runs in a booted guest of it. */
export interface SetupFunction {
  /**
   * Names what the function does, with a version: `database 2`. Change it when something changes that the text of `run` does not
   * show: functions that it calls, variables of the code around it, files that it copies.
   */
  readonly name: string;
  /**
   * Runs once, while the image is made, in a VM with the layers below, the image's own kernel and the network of the host. The
   * guest is powered off afterwards, and its root disk becomes a layer of the image.
   */
  readonly run: (vm: Vm, context: SetupContext) => Promise<void>;
  /** Time limit of `run`; default 30 min. The guest then has the same time to power off, but no more than 3 min. */
  readonly timeout?: Duration | undefined;
}

/** Second argument of `run`. */
export interface SetupContext {
  /** Fires when the build is cancelled, its time is up, or the guest has failed. */
  readonly signal: AbortSignal;
  /** Reports progress to users. */
  readonly note: (text: string) => void;
}

const NAME = v.custom<string>(
  (value) => typeof value === 'string' && /^\w[\w .+:-]{0,59}$/.test(value),
  "expected a name of up to 60 letters, digits and blanks, such as 'database 2'",
);

/** The schema of `SetupFunction`. */
export const SETUP_FUNCTION = v.strictObject({
  name: NAME,
  run: v.function(),
  timeout: v.optional(DURATION),
} satisfies Record<keyof SetupFunction, v.GenericSchema>);

import type { WaitOptions } from '../util/async/deadline.js';

export interface TypeOptions extends WaitOptions {
  /** Keeps the text out of recorded events; the guest's echo of it is still on the console. Default false. */
  readonly secret?: boolean | undefined;
}

/** A text that was typed, or the names of keys; neither when it is secret. */
export interface Typed {
  readonly text?: string;
  readonly keys?: readonly string[];
}

import type { WaitOptions } from '../../util/async/deadline.js';
import type { Duration } from '../../util/time/duration.js';
import type { ScreenRegion } from './terminal-view.js';

/** One pane of a tmux window. */
export interface Pane {
  /** Its index in tmux, from 0. */
  readonly index: number;
  /** The title that `pane-border-status` shows; empty where that is off. */
  readonly title: string;
  /** The cursor is in it. */
  readonly active: boolean;
  readonly region: ScreenRegion;
  /** Its rows, without spaces at their ends. */
  readonly rows: readonly string[];
  /** The same as one text; empty rows at the bottom are left out. */
  readonly text: string;
}

/** A pane by its number (a negative one counts from the last), by a part of its title, or the one with the cursor. */
export type PaneSelector = number | 'active' | { readonly title: string };

/** A part of the screen; all of it by default. */
export interface ScreenPart {
  /** Look at this row only, from 0; a negative one counts from the last row. With `pane`, a row of the pane. */
  readonly row?: number | undefined;
  /** Look at this rectangle only. */
  readonly region?: ScreenRegion | undefined;
  /** Look at this tmux pane only. */
  readonly pane?: PaneSelector | undefined;
}

export interface ScreenWaitOptions extends WaitOptions, ScreenPart {}

export interface SettleOptions extends WaitOptions, ScreenPart {
  /** How long nothing may change; default 500 ms. */
  readonly quiet?: Duration | undefined;
}

/** Text that a wait on the screen found, and its place. */
export interface ScreenMatch {
  readonly text: string;
  readonly groups: readonly (string | undefined)[];
  /** Row of the match's beginning, from 0 at the top of what was looked at. */
  readonly row: number;
}

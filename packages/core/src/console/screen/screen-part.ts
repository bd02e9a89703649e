import type { WaitOptions } from '../../util/async/deadline.js';
import type { Duration } from '../../util/time/duration.js';
import type { ScreenRegion } from './terminal-view.js';

/** One pane of a tmux window. */
export interface Pane {
  /** tmux's number of it, from 0. */
  readonly index: number;
  /** What `pane-border-status` shows of it; empty where it is off. */
  readonly title: string;
  /** The cursor stands in it. */
  readonly active: boolean;
  readonly region: ScreenRegion;
  /** Its rows, without spaces at their ends. */
  readonly rows: readonly string[];
  /** The same as one text; empty rows at the bottom are left out. */
  readonly text: string;
}

/** A pane by its number (a negative one counts from the last), by a part of its title, or the one with the cursor. */
export type PaneSelector = number | 'active' | { readonly title: string };

/** What part of the screen is looked at; all of it by default. */
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

/** Where and what a wait on the screen found. */
export interface ScreenMatch {
  readonly text: string;
  readonly groups: readonly (string | undefined)[];
  /** Row of the match's beginning, from 0 at the top of what was looked at. */
  readonly row: number;
}

import * as v from 'valibot';
import { DURATION, PATTERN, WAIT, wholeNumber } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { ScreenPart, ScreenWaitOptions, SettleOptions } from './screen-part.js';

const INTEGER = v.custom<number>((value) => Number.isSafeInteger(value), 'expected a whole number');

const REGION = v.strictObject({
  row: wholeNumber(0),
  column: wholeNumber(0),
  rows: wholeNumber(1),
  columns: wholeNumber(1),
});

const PANE = v.lazy((value) =>
  typeof value === 'object' && value !== null
    ? v.strictObject({ title: v.string() })
    : v.union([INTEGER, v.literal('active')], "expected the index of a pane, 'active' or { title }"),
);

/** The entries of `ScreenPart`, for the schemas of functions that look at a part of the screen. */
export const SCREEN_PART = {
  row: v.optional(INTEGER),
  region: v.optional(REGION),
  pane: v.optional(PANE),
} satisfies Record<keyof ScreenPart, v.GenericSchema>;

const SCREEN_WAIT = v.strictObject({ ...WAIT, ...SCREEN_PART } satisfies Record<
  keyof ScreenWaitOptions,
  v.GenericSchema
>);
const SETTLE = v.strictObject({ ...WAIT, ...SCREEN_PART, quiet: v.optional(DURATION) } satisfies Record<
  keyof SettleOptions,
  v.GenericSchema
>);

/** Checks the arguments of `screen.waitFor`. @throws {USAGE} */
export function checkScreenWait(pattern: unknown, options: unknown): void {
  validate(PATTERN, pattern, 'screen.waitFor: pattern');
  validate(SCREEN_WAIT, options, 'screen.waitFor: options');
}

/** Checks the options of `screen.settle`. @throws {USAGE} */
export function checkSettle(options: unknown): void {
  validate(SETTLE, options, 'screen.settle: options');
}

/** Checks the arguments of `screen.waitUntil`. @throws {USAGE} */
export function checkWaitUntil(awaited: unknown, probe: unknown, options: unknown): void {
  validate(v.string('expected a text'), awaited, 'screen.waitUntil: awaited');
  validate(v.function('expected a function'), probe, 'screen.waitUntil: probe');
  validate(SCREEN_WAIT, options, 'screen.waitUntil: options');
}

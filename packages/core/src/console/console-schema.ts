import * as v from 'valibot';
import { PATTERN, TEXT, WAIT } from '../util/validation/schemas.js';
import { validate } from '../util/validation/validate.js';
import type { ExpectOptions } from './expect.js';
import type { TypeOptions } from './type-options.js';

/** The entries of `TypeOptions`. */
export const TYPE_ENTRIES = { ...WAIT, secret: v.optional(v.boolean()) } satisfies Record<
  keyof TypeOptions,
  v.GenericSchema
>;
export const KEYS = v.array(v.pipe(v.string(), v.nonEmpty('expected the name of a key')));

const TYPE = v.strictObject(TYPE_ENTRIES);
const EXPECT = v.strictObject({
  ...WAIT,
  from: v.optional(
    v.custom<number>((value) => typeof value === 'number' && !Number.isNaN(value), 'expected a position'),
  ),
  consume: v.optional(v.boolean()),
} satisfies Record<keyof ExpectOptions, v.GenericSchema>);

/** Checks the arguments of `console.type`. @throws {USAGE} */
export function checkType(text: unknown, options: unknown): void {
  validate(TEXT, text, 'console.type: text');
  validate(TYPE, options, 'console.type: options');
}

/** Checks the arguments of `console.press`. @throws {USAGE} */
export function checkPress(keys: unknown): void {
  validate(KEYS, keys, 'console.press: keys');
}

/** Checks the arguments of `console.send`. @throws {USAGE} */
export function checkSend(bytes: unknown, options: unknown): void {
  validate(v.instance(Uint8Array, 'expected bytes'), bytes, 'console.send: bytes');
  validate(v.strictObject(WAIT), options, 'console.send: options');
}

/** Checks the arguments of `console.expect`. @throws {USAGE} */
export function checkExpect(pattern: unknown, options: unknown): void {
  validate(PATTERN, pattern, 'console.expect: pattern');
  validate(EXPECT, options, 'console.expect: options');
}

/** Checks the options of `console.resize`. @throws {USAGE} */
export function checkResizeOptions(options: unknown): void {
  validate(v.strictObject(WAIT), options, 'console.resize: options');
}

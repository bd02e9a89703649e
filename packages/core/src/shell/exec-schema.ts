import * as v from 'valibot';
import { shQuote } from '../util/text/sh-quote.js';
import { WAIT } from '../util/validation/schemas.js';
import { validate } from '../util/validation/validate.js';
import type { Command, ExecOptions } from './exec-options.js';

const NUL = '\0';
const TEXT = v.pipe(
  v.string(),
  v.check((text) => !text.includes(NUL), 'expected text without NUL bytes (give binary data as `input`)'),
);
const VARIABLE = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable'),
);

const COMMAND_MESSAGE = 'expected a command as text, or a program and its arguments as an array, without NUL bytes';
const COMMAND = v.union([TEXT, v.pipe(v.array(TEXT), v.minLength(1, COMMAND_MESSAGE))], COMMAND_MESSAGE);

/** Entries that say where and as whom a command runs. */
export const EXEC_PLACE = {
  env: v.optional(v.record(VARIABLE, TEXT)),
  cwd: v.optional(TEXT),
  user: v.optional(TEXT),
} as const;

const EXEC_ENTRIES = {
  ...WAIT,
  ...EXEC_PLACE,
  input: v.optional(v.union([v.string(), v.instance(Uint8Array)], 'expected text or bytes')),
  maxOutput: v.optional(v.pipe(v.number(), v.minValue(0, 'expected a number of bytes'))),
} as const;

const EXEC_OPTIONS = v.strictObject({ ...EXEC_ENTRIES, inputFile: v.optional(TEXT) });
const INPUT_STREAM = v.custom<AsyncIterable<Uint8Array>>(
  (value) => typeof value === 'object' && value !== null && Symbol.asyncIterator in value,
);
const VM_EXEC_OPTIONS = v.strictObject({
  ...EXEC_ENTRIES,
  input: v.optional(v.union([v.string(), v.instance(Uint8Array), INPUT_STREAM], 'expected text, bytes or a stream')),
  via: v.optional(v.picklist(['console', 'guest-agent', 'serial'])),
});

/** Checks the arguments of a method that runs a command, and returns the command as source for a shell. @throws {USAGE} */
export function checkCommand(command: Command, options: ExecOptions, method = 'exec'): string {
  return check(EXEC_OPTIONS, command, options, method);
}

/** The same for `vm.exec`. @throws {USAGE} */
export function checkVmCommand(command: Command, options: object, method = 'exec'): string {
  return check(VM_EXEC_OPTIONS, command, options, method);
}

function check(schema: v.GenericSchema, command: Command, options: ExecOptions, method: string): string {
  validate(COMMAND, command, `${method}: command`);
  validate(schema, options, `${method}: options`);
  return typeof command === 'string' ? command : command.map(shQuote).join(' ');
}

import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../async/deadline.js';
import { closest } from '../text/closest.js';
import { shown } from '../text/shown.js';

type Schema = v.GenericSchema;

/**
 * Checks an argument of a public function against its schema.
 * @param name how the caller calls the argument: `boot: options`
 * @throws {USAGE} naming the first invalid part, such as `boot: options.memoryMiB: expected a number, got "2G"`
 */
export function validate(schema: Schema, value: unknown, name: string): void {
  const { issues } = v.safeParse(schema, value, { abortEarly: true });
  const issue = issues?.[0];
  if (issue !== undefined) throw usageError(schema, issue, name);
}

function usageError(schema: Schema, issue: v.BaseIssue<unknown>, name: string): QmpilotError {
  const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : asText(key)));
  const at = `${name}${path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('')}`;
  const key = path.at(-1);
  if (issue.type === 'strict_object' && issue.expected === 'never' && key !== undefined) {
    const known = knownKeys(schema, path.slice(0, -1));
    const similar = closest(String(key), known);
    const hint =
      similar === undefined
        ? `there are: ${known.join(', ')}`
        : `did you mean ${similar}? There are: ${known.join(', ')}`;
    return new QmpilotError('USAGE', `${at}: unknown option`, known.length === 0 ? {} : { hint });
  }
  const isMissing = issue.type === 'strict_object' && issue.expected?.startsWith('"') && issue.received === 'undefined';
  return new QmpilotError('USAGE', `${at}: ${isMissing ? 'required' : said(issue)}`);
}

function asText(key: unknown): string {
  return typeof key === 'string' ? key : JSON.stringify(key);
}

const KINDS: Readonly<Record<string, string>> = {
  Object: 'an object',
  Array: 'an array',
  Function: 'a function',
  RegExp: 'a regular expression',
  Date: 'a date',
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
};

/** A schema with a message of its own says what it expects; the texts of valibot name types. */
function said(issue: v.BaseIssue<unknown>): string {
  if (!issue.message.startsWith('Invalid ')) return `${issue.message}, got ${shown(issue.input)}`;
  const expected = issue.expected ?? 'another value';
  // A list of values: ("none" | "std")
  const values = expected.startsWith('(') ? expected.slice(1, -1).replaceAll(' | ', ' or ') : expected;
  return `expected ${KINDS[expected] ?? values}, got ${shown(issue.input)}`;
}

/** An option of our own calls, which no hint lists. */
const INTERNAL: keyof WaitOptions = 'patience';

function knownKeys(schema: unknown, path: readonly unknown[]): string[] {
  let at: unknown = schema;
  for (const key of path)
    at =
      typeof key === 'number' ? partOf(unwrapped(at), 'item') : partOf(partOf(unwrapped(at), 'entries'), String(key));
  const entries = partOf(unwrapped(at), 'entries');
  return typeof entries === 'object' && entries !== null
    ? Object.keys(entries).filter((name) => name !== INTERNAL)
    : [];
}

/** Looks through `optional(...)` and the like. */
function unwrapped(schema: unknown): unknown {
  let at = schema;
  for (let inner = partOf(at, 'wrapped'); inner !== undefined; inner = partOf(at, 'wrapped')) at = inner;
  return at;
}

function partOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

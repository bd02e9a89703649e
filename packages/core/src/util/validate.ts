import * as v from 'valibot';
import { QmpilotError } from '../errors.js';
import { closest } from './closest.js';

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

/** A schema with a message of its own says what it expects; valibot's texts name types of TypeScript. */
function said(issue: v.BaseIssue<unknown>): string {
  return issue.message.startsWith('Invalid ')
    ? `expected ${issue.expected ?? 'another value'}, got ${shown(issue.input)}`
    : `${issue.message}, got ${shown(issue.input)}`;
}

/** Describes a value in an error message, in at most some 60 characters. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function knownKeys(schema: unknown, path: readonly unknown[]): string[] {
  let at: unknown = schema;
  for (const key of path)
    at =
      typeof key === 'number' ? partOf(unwrapped(at), 'item') : partOf(partOf(unwrapped(at), 'entries'), String(key));
  const entries = partOf(unwrapped(at), 'entries');
  return typeof entries === 'object' && entries !== null ? Object.keys(entries) : [];
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

import { QmpilotError } from '@qmpilot/core';

export interface QmpLine {
  readonly command: string;
  readonly args: Readonly<Record<string, unknown>> | undefined;
}

/**
 * One typed line: `query-status`, `device_del {"id": "x"}`, or `blockdev-add driver=qcow2 node-name=d file.driver=file file.filename=/a`.
 * A value is JSON if it parses as JSON, else a string; dots in a key address members of objects.
 * @returns undefined for an empty line
 * @throws {USAGE}
 */
export function parseLine(line: string): QmpLine | undefined {
  const match = /^\s*(\S+)\s*([^]*?)\s*$/.exec(line);
  const [, command = '', rest = ''] = match ?? [];
  if (command === '') return undefined;
  return { command, args: rest === '' ? undefined : parseArguments(rest) };
}

/** @throws {USAGE} when the text is neither a JSON object nor `key=value` pairs */
export function parseArguments(text: string): Readonly<Record<string, unknown>> {
  if (!text.trimStart().startsWith('{')) return parsePairs(words(text));
  try {
    return toObject(JSON.parse(text));
  } catch (cause) {
    throw usage(`invalid JSON arguments: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** @throws {USAGE} */
export function parsePairs(pairs: readonly string[]): Readonly<Record<string, unknown>> {
  const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const word of pairs) {
    const at = word.indexOf('=');
    if (at < 1) throw usage(`${JSON.stringify(word)} is not key=value`);
    const path = word.slice(0, at).split('.');
    const last = path.pop() ?? '';
    let target = result;
    for (const key of path) {
      const inner = (target[key] ??= Object.create(null));
      target = toObject(inner);
    }
    target[last] = toValue(word.slice(at + 1));
  }
  return result;
}

/** Splits at blanks outside of quotes, braces and brackets: `a={"b": 1} c="x y"`. */
export function words(text: string): string[] {
  const found: string[] = [];
  let word = '';
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (quoted && character === '\\') {
      word += character + text.charAt(++i);
      continue;
    }
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === '{' || character === '[')) depth++;
    else if (!quoted && (character === '}' || character === ']')) depth--;
    if (!quoted && depth <= 0 && /\s/.test(character)) {
      if (word !== '') found.push(word);
      word = '';
    } else word += character;
  }
  return word === '' ? found : [...found, word];
}

function toValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    if (/^["{[]/.test(text)) throw usage(`invalid JSON value ${JSON.stringify(text)}`);
    return text;
  }
}

function toObject(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw usage('the arguments are not a JSON object');
}

function usage(message: string): QmpilotError {
  return new QmpilotError('USAGE', message, {
    hint: `use one JSON object, such as '{"id": "x"}', or pairs, such as id=x`,
  });
}

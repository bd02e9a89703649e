import * as v from 'valibot';
import { isObject } from '../util/validation/is-object.js';

/** A value of which any part may be missing. */
export type Salvaged<T> = T extends readonly (infer Item)[]
  ? readonly Salvaged<Item>[]
  : T extends object
    ? { readonly [K in keyof T]?: Salvaged<T[K]> }
    : T;

/**
 * Reads a value by a schema as far as it fits: fields and array items that do not fit are left out, fields that a loose object does
 * not list are kept. Undefined when nothing fits.
 */
export function salvage<S extends v.GenericSchema>(schema: S, value: unknown): Salvaged<v.InferOutput<S>> | undefined {
  // What `walk` returns is built from the schema, which its type cannot say.
  return walk(schema, value) as Salvaged<v.InferOutput<S>> | undefined;
}

function walk(schema: unknown, value: unknown): unknown {
  if (value === undefined || !isObject(schema)) return undefined;
  // A pipe repeats its first schema's fields: its checks are about the whole value.
  if (schema['pipe'] === undefined) {
    if (isObject(schema['wrapped'])) return walk(schema['wrapped'], value);
    if (isObject(schema['entries'])) return isObject(value) ? walkObject(schema['entries'], value) : undefined;
    if (isObject(schema['item'])) {
      return Array.isArray(value)
        ? value.map((one) => walk(schema['item'], one)).filter((one) => one !== undefined)
        : undefined;
    }
  }
  return isSchema(schema) && v.is(schema, value) ? value : undefined;
}

function walkObject(entries: Readonly<Record<string, unknown>>, value: Readonly<Record<string, unknown>>): unknown {
  const known = Object.entries(entries).map(([key, schema]) => [key, walk(schema, value[key])] as const);
  const others = Object.entries(value).filter(([key]) => !Object.hasOwn(entries, key));
  return Object.fromEntries([...others, ...known.filter(([, one]) => one !== undefined)]);
}

function isSchema(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & v.GenericSchema {
  return value['kind'] === 'schema';
}

/** Parses JSON; undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Parses JSON lines to objects; counts lines that are cut off or not an object. */
export function parseJsonLines(text: string): {
  readonly objects: readonly Readonly<Record<string, unknown>>[];
  readonly damaged: number;
} {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const objects = lines.map(parseJson).filter(isObject);
  return { objects, damaged: lines.length - objects.length };
}

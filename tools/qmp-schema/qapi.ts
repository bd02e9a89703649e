import type { SchemaEntry, SchemaMember } from './introspection.js';

type Value = string | boolean | readonly Value[] | { readonly [key: string]: Value };
type Dict = { readonly [key: string]: Value };

/** QAPI's built-in types (docs/devel/qapi-code-gen of QEMU) and the JSON types that introspection gives for them. */
const BUILTIN: Readonly<Record<string, string>> = {
  str: 'string',
  bool: 'boolean',
  number: 'number',
  null: 'null',
  any: 'value',
  int: 'int',
  int8: 'int',
  int16: 'int',
  int32: 'int',
  int64: 'int',
  uint8: 'int',
  uint16: 'int',
  uint32: 'int',
  uint64: 'int',
  size: 'int',
};

/**
 * Reads a QAPI schema file into the form of `query-qmp-schema`, with the types' own names. The guest agent cannot be asked
 * for its schema, but Debian ships the file. Conditions (`if`) are taken as fulfilled.
 */
export function readQapi(source: string): SchemaEntry[] {
  const builder = new Builder();
  for (const expression of parse(source)) builder.add(expression);
  return builder.entries;
}

class Builder {
  readonly entries: SchemaEntry[] = [];
  readonly #known = new Set<string>();

  add(it: Dict): void {
    const features = featuresOf(it['features']);
    if (typeof it['command'] === 'string') {
      const name = it['command'];
      const argument =
        it['data'] === undefined ? this.#object('0', {}) : this.#typeOrObject(it['data'], `${name}-arguments`);
      const result = it['returns'] === undefined ? this.#object('0', {}) : this.#type(it['returns']);
      this.entries.push({ 'meta-type': 'command', name, 'arg-type': argument, 'ret-type': result, ...features });
    } else if (typeof it['struct'] === 'string') this.#struct(it['struct'], it);
    else if (typeof it['union'] === 'string') this.#union(it['union'], it);
    else if (typeof it['enum'] === 'string') {
      const members = list(it['data']).map((value) =>
        isDict(value) ? { name: text(value['name']), ...featuresOf(value['features']) } : { name: text(value) },
      );
      this.#push({ 'meta-type': 'enum', 'name': it['enum'], members });
    } else if (typeof it['alternate'] === 'string') {
      const members = Object.values(dict(it['data'])).map((type) => ({ type: this.#type(type) }));
      this.#push({ 'meta-type': 'alternate', 'name': it['alternate'], members });
    } else if (it['pragma'] === undefined && it['include'] === undefined)
      throw new Error(`qapi: not understood: ${JSON.stringify(it)}`);
  }

  #struct(name: string, it: Dict): void {
    const base = it['base'] === undefined ? [] : this.#baseMembers(it['base']);
    this.#push({ 'meta-type': 'object', name, 'members': [...base, ...this.#members(dict(it['data']))] });
  }

  #union(name: string, it: Dict): void {
    const variants = Object.entries(dict(it['data'])).map(([key, type]) => ({ case: key, type: this.#type(type) }));
    const base = it['base'];
    if (base === undefined) throw new Error(`qapi: union ${name} has no base`);
    this.#push({
      'meta-type': 'object',
      name,
      'members': this.#baseMembers(base),
      'tag': text(it['discriminator']),
      variants,
    });
  }

  #baseMembers(base: Value): readonly SchemaMember[] {
    if (isDict(base)) return this.#members(base);
    const entry = this.entries.find(({ name }) => name === base);
    if (entry?.['meta-type'] !== 'object') throw new Error(`qapi: the base ${text(base)} is not known yet`);
    return entry.members;
  }

  #members(data: Dict): SchemaMember[] {
    return Object.entries(data).map(([key, value]) => {
      const detailed = isDict(value) ? value : { type: value };
      const type = detailed['type'];
      if (type === undefined) throw new Error(`qapi: the member ${key} has no type`);
      return {
        name: key.replace(/^\*/, ''),
        type: this.#type(type),
        ...(key.startsWith('*') && { default: null }),
        ...featuresOf(detailed['features']),
      };
    });
  }

  #typeOrObject(data: Value, name: string): string {
    return isDict(data) ? this.#object(name, data) : this.#type(data);
  }

  #object(name: string, data: Dict): string {
    this.#push({ 'meta-type': 'object', name, 'members': this.#members(data) });
    return name;
  }

  #type(type: Value): string {
    if (Array.isArray(type)) {
      const element = this.#type(list(type)[0] ?? '');
      const name = `[${element}]`;
      this.#push({ 'meta-type': 'array', name, 'element-type': element });
      return name;
    }
    const name = text(type);
    const json = BUILTIN[name];
    if (json !== undefined) this.#push({ 'meta-type': 'builtin', name, 'json-type': json });
    return name;
  }

  #push(entry: SchemaEntry): void {
    if (this.#known.has(entry.name)) return;
    this.#known.add(entry.name);
    this.entries.push(entry);
  }
}

/** A QAPI file is a sequence of objects in a subset of Python's literals, with `#` comments. */
function parse(source: string): Dict[] {
  const tokens = [...source.matchAll(/#[^\n]*|'((?:[^'\\]|\\.)*)'|[{}[\],:]|true|false|\S/g)]
    .filter(([token]) => !token.startsWith('#'))
    .map(([token, string]) => ({ token, string }));
  let at = 0;
  const peek = () => tokens[at]?.token;
  const take = (wanted?: string) => {
    const next = tokens[at++];
    if (!next || (wanted !== undefined && next.token !== wanted))
      throw new Error(`qapi: ${wanted ?? 'a value'} expected instead of ${next?.token ?? 'the end'}`);
    return next;
  };
  const value = (): Value => {
    const { token, string } = take();
    if (string !== undefined) return string;
    if (token === 'true' || token === 'false') return token === 'true';
    if (token === '[') {
      const items: Value[] = [];
      while (peek() !== ']') {
        items.push(value());
        if (peek() === ',') take(',');
      }
      take(']');
      return items;
    }
    if (token !== '{') throw new Error(`qapi: ${token} is not a value`);
    const members: [string, Value][] = [];
    while (peek() !== '}') {
      const key = take().string;
      if (key === undefined) throw new Error('qapi: a key expected');
      take(':');
      members.push([key, value()]);
      if (peek() === ',') take(',');
    }
    take('}');
    return Object.fromEntries(members);
  };
  const all: Dict[] = [];
  while (at < tokens.length) all.push(dict(value()));
  return all;
}

function isDict(value: Value | undefined): value is Dict {
  return typeof value === 'object' && !Array.isArray(value);
}

function dict(value: Value | undefined): Dict {
  if (isDict(value)) return value;
  throw new Error(`qapi: an object expected instead of ${JSON.stringify(value)}`);
}

function list(value: Value | undefined): readonly Value[] {
  if (Array.isArray(value)) return value;
  throw new Error(`qapi: a list expected instead of ${JSON.stringify(value)}`);
}

function text(value: Value | undefined): string {
  if (typeof value === 'string') return value;
  throw new Error(`qapi: a string expected instead of ${JSON.stringify(value)}`);
}

function featuresOf(value: Value | undefined): { features?: readonly string[] } {
  if (value === undefined) return {};
  return { features: list(value).map((feature) => text(isDict(feature) ? feature['name'] : feature)) };
}

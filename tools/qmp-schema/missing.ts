import ts from 'typescript';
import type { SchemaEntry } from './introspection.js';

/**
 * What a schema has and a file of generated types lacks, as paths such as `query-status: status: 'paused'`. It reads the types as the
 * compiler does, so it depends on nothing that the generator believes about them.
 * @param interfaces the names of the interfaces that hold the commands and, where there are any, the events
 */
export function missingMembers(
  entries: readonly SchemaEntry[],
  file: string,
  interfaces: { commands: string; events?: string },
): string[] {
  return new Comparison(entries, file).run(interfaces);
}

class Comparison {
  readonly #checker: ts.TypeChecker;
  readonly #module: ts.Symbol;
  readonly #entries: readonly SchemaEntry[];
  readonly #byName: ReadonlyMap<string, SchemaEntry>;
  readonly #seen = new Map<ts.Type, Set<string>>();
  readonly #missing: string[] = [];

  constructor(entries: readonly SchemaEntry[], file: string) {
    const program = ts.createProgram([file], {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      target: ts.ScriptTarget.ES2022,
    });
    this.#checker = program.getTypeChecker();
    const source = program.getSourceFile(file);
    const module = source && this.#checker.getSymbolAtLocation(source);
    if (!module) throw new Error(`${file} is not a module`);
    this.#module = module;
    this.#entries = entries;
    this.#byName = new Map(entries.map((entry) => [entry.name, entry]));
  }

  run({ commands, events }: { commands: string; events?: string }): string[] {
    const commandTypes = this.#interface(commands);
    const eventTypes = events === undefined ? undefined : this.#interface(events);
    for (const entry of this.#entries) {
      if (entry['meta-type'] === 'command') {
        const command = this.#member(commandTypes, entry.name, 'command');
        if (!command) continue;
        this.#compare(entry['arg-type'], this.#member(command, 'arguments', entry.name), `${entry.name}:`);
        this.#compare(entry['ret-type'], this.#member(command, 'returns', entry.name), `${entry.name} ->`);
      } else if (entry['meta-type'] === 'event' && eventTypes) {
        this.#compare(entry['arg-type'], this.#member(eventTypes, entry.name, 'event'), `${entry.name}:`);
      }
    }
    return this.#missing;
  }

  #interface(name: string): ts.Type {
    const symbol = this.#checker.getExportsOfModule(this.#module).find((candidate) => candidate.name === name);
    if (!symbol) throw new Error(`there is no ${name}`);
    return this.#checker.getDeclaredTypeOfSymbol(symbol);
  }

  /** The type of a member that has to be in each part of a union. */
  #member(type: ts.Type, name: string, path: string): ts.Type | undefined {
    const property = this.#checker.getPropertyOfType(type, name);
    if (property) return this.#checker.getTypeOfSymbol(property);
    this.#missing.push(`${path} ${name}`);
    return undefined;
  }

  #compare(id: string, type: ts.Type | undefined, path: string): void {
    const entry = this.#byName.get(id);
    if (!type || !entry) return;
    const seen = this.#seen.get(type) ?? new Set();
    this.#seen.set(type, seen);
    if (seen.has(id)) return;
    seen.add(id);
    const parts = partsOf(type);
    switch (entry['meta-type']) {
      case 'builtin':
        if (!parts.some((part) => isBuiltin(part, entry['json-type'])))
          this.#missing.push(`${path} a ${entry['json-type']}`);
        return;
      case 'array': {
        const arrays = parts.filter((part) => this.#checker.isArrayLikeType(part));
        const [array] = arrays;
        if (!array) return void this.#missing.push(`${path} a list`);
        return this.#compare(
          entry['element-type'],
          this.#checker.getIndexTypeOfType(array, ts.IndexKind.Number),
          `${path} []`,
        );
      }
      case 'enum': {
        const values = entry.members?.map(({ name }) => name) ?? entry.values ?? [];
        const known = new Set(parts.flatMap((part) => (part.isStringLiteral() ? [part.value] : [])));
        this.#missing.push(...values.filter((value) => !known.has(value)).map((value) => `${path} '${value}'`));
        return;
      }
      case 'alternate':
        // Each option has a kind of its own, and every kind looks for its own parts of the union.
        for (const option of entry.members) this.#compare(option.type, type, path);
        return;
      case 'object':
        return this.#compareObject(
          entry,
          parts.filter((part) => this.#isObject(part)),
          path,
        );
      default:
        throw new Error(`${id} is not a type`);
    }
  }

  #compareObject(
    entry: Extract<SchemaEntry, { 'meta-type': 'object' }>,
    parts: readonly ts.Type[],
    path: string,
  ): void {
    const [first] = parts;
    if (!first) return void this.#missing.push(`${path} an object`);
    for (const member of entry.members) {
      if (member.name === entry.tag) {
        const values = parts.flatMap((part) => this.#tagValues(part, member.name));
        const tag = this.#byName.get(member.type);
        const names = tag?.['meta-type'] === 'enum' ? (tag.members?.map(({ name }) => name) ?? tag.values ?? []) : [];
        this.#missing.push(
          ...names.filter((name) => !values.includes(name)).map((name) => `${path} ${member.name}: '${name}'`),
        );
      } else {
        for (const part of entry.variants === undefined ? [first] : parts) {
          this.#compare(member.type, this.#member(part, member.name, path), `${path} ${member.name}:`);
        }
      }
    }
    for (const variant of entry.variants ?? []) {
      const chosen = parts.filter((part) => this.#tagValues(part, entry.tag ?? '').includes(variant.case));
      if (chosen.length > 0) this.#compareVariant(variant.type, chosen, `${path} (${variant.case})`);
    }
  }

  #compareVariant(id: string, parts: readonly ts.Type[], path: string): void {
    const entry = this.#byName.get(id);
    if (entry?.['meta-type'] === 'object') this.#compareObject(entry, parts, path);
  }

  #tagValues(type: ts.Type, tag: string): string[] {
    const property = this.#checker.getPropertyOfType(type, tag);
    return property
      ? partsOf(this.#checker.getTypeOfSymbol(property)).flatMap((part) => (part.isStringLiteral() ? [part.value] : []))
      : [];
  }

  #isObject(type: ts.Type): boolean {
    return (
      (type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) !== 0 && !this.#checker.isArrayLikeType(type)
    );
  }
}

/** Without the `undefined` of what is optional. */
function partsOf(type: ts.Type): readonly ts.Type[] {
  return type.isUnion() ? type.types.filter((part) => (part.flags & ts.TypeFlags.Undefined) === 0) : [type];
}

const BUILTIN_FLAGS: Readonly<Record<string, ts.TypeFlags>> = {
  int: ts.TypeFlags.NumberLike,
  number: ts.TypeFlags.NumberLike,
  string: ts.TypeFlags.String,
  boolean: ts.TypeFlags.BooleanLike,
  null: ts.TypeFlags.Null,
  value: ts.TypeFlags.Unknown,
};

function isBuiltin(type: ts.Type, json: string): boolean {
  return (type.flags & ((BUILTIN_FLAGS[json] ?? 0) | ts.TypeFlags.Unknown)) !== 0;
}

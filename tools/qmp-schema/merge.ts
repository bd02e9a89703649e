import type { SchemaEntry, VersionedSchema } from './introspection.js';

/** Indexes into the list of versions. */
export type Presence = readonly number[];

export interface TypeRef {
  readonly parts: readonly TypePart[];
}

export type TypePart =
  | { readonly kind: 'builtin'; readonly json: string }
  | { readonly kind: 'array'; readonly element: TypeRef }
  | { readonly kind: 'node'; readonly key: string };

export interface Member {
  readonly name: string;
  readonly type: TypeRef;
  readonly optional: boolean;
  readonly presence: Presence;
  readonly features: readonly string[];
}

export interface EnumValue {
  readonly name: string;
  readonly presence: Presence;
  readonly features: readonly string[];
}

export interface Variant {
  readonly case: string;
  readonly type: TypeRef;
  readonly presence: Presence;
}

export type TypeNode = { readonly key: string; readonly presence: Presence } & (
  | {
      readonly kind: 'object';
      readonly members: readonly Member[];
      readonly tag?: string;
      readonly variants: readonly Variant[];
    }
  | { readonly kind: 'enum'; readonly values: readonly EnumValue[] }
  | { readonly kind: 'alternate'; readonly options: readonly TypeRef[] }
);

export interface Root {
  readonly name: string;
  readonly presence: Presence;
  readonly features: readonly string[];
  readonly argument: TypeRef;
  /** Commands only. */
  readonly result?: TypeRef;
  readonly outOfBand: boolean;
}

export interface MergedSchema {
  readonly versions: readonly string[];
  readonly commands: readonly Root[];
  readonly events: readonly Root[];
  readonly nodes: ReadonlyMap<string, TypeNode>;
}

type Kind = SchemaEntry['meta-type'];
type Of<K extends Kind> = Extract<SchemaEntry, { 'meta-type': K }>;
/** One entry per version; undefined where the version lacks it. */
type PerVersion<T> = readonly (T | undefined)[];

/**
 * One schema out of several versions. Type names are masked numbers that differ between versions, so types are paired by
 * how they are reached: what `query-status` returns in 7.2 and in 10.0 is one type. A type that is one in one version
 * and two in another stays two.
 */
export function mergeSchemas(schemas: readonly VersionedSchema[]): MergedSchema {
  const merger = new Merger(schemas);
  const commands = merger.roots('command');
  const events = merger.roots('event');
  return foldPartial({ versions: schemas.map((s) => s.version), commands, events, nodes: merger.nodes });
}

class Merger {
  readonly nodes = new Map<string, TypeNode>();
  readonly #byName: readonly ReadonlyMap<string, SchemaEntry>[];

  constructor(schemas: readonly VersionedSchema[]) {
    // Commands, events and types share one name space in the schema.
    this.#byName = schemas.map((schema) => new Map(schema.entries.map((entry) => [entry.name, entry])));
  }

  roots(kind: 'command' | 'event'): Root[] {
    const names = new Set(
      this.#byName.flatMap((map) => [...map.values()].filter((e) => e['meta-type'] === kind).map((e) => e.name)),
    );
    return [...names].sort().map((name) => {
      const entries = this.#entries(this.#byName.map(() => name));
      const commands = pick(entries, 'command');
      const both = entries.map((e) => (e?.['meta-type'] === 'command' || e?.['meta-type'] === 'event' ? e : undefined));
      return {
        name,
        presence: presenceOf(both),
        features: newest(both)?.features ?? [],
        argument: this.#ref(both.map((e) => e?.['arg-type'])),
        ...(kind === 'command' && { result: this.#ref(commands.map((e) => e?.['ret-type'])) }),
        outOfBand: commands.some((e) => e?.['allow-oob'] === true),
      };
    });
  }

  #entries(ids: PerVersion<string>): PerVersion<SchemaEntry> {
    return ids.map((id, version) => (id === undefined ? undefined : this.#byName[version]?.get(id)));
  }

  #ref(ids: PerVersion<string>): TypeRef {
    const entries = this.#entries(ids);
    const parts: TypePart[] = [];
    const jsonTypes = new Set(pick(entries, 'builtin').flatMap((e) => (e ? [e['json-type']] : [])));
    for (const json of jsonTypes) parts.push({ kind: 'builtin', json });
    const arrays = pick(entries, 'array');
    if (arrays.some(Boolean)) parts.push({ kind: 'array', element: this.#ref(arrays.map((e) => e?.['element-type'])) });
    for (const kind of ['object', 'enum', 'alternate'] as const) {
      const own = pick(entries, kind);
      if (own.some(Boolean)) parts.push({ kind: 'node', key: this.#node(kind, own) });
    }
    return { parts };
  }

  #node(kind: 'object' | 'enum' | 'alternate', entries: PerVersion<SchemaEntry>): string {
    const key = entries.map((e) => e?.name ?? '-').join('|');
    if (this.nodes.has(key)) return key;
    const common = { key, presence: presenceOf(entries) };
    // Taken before the members are followed: types refer to themselves.
    this.nodes.set(key, { ...common, kind: 'enum', values: [] });
    if (kind === 'enum') this.nodes.set(key, { ...common, kind, values: enumValues(pick(entries, 'enum')) });
    else if (kind === 'alternate')
      this.nodes.set(key, { ...common, kind, options: this.#options(pick(entries, 'alternate')) });
    else {
      const objects = pick(entries, 'object');
      const tag = newest(objects)?.tag ?? objects.find((o) => o?.tag)?.tag;
      this.nodes.set(key, {
        ...common,
        kind,
        members: this.#members(objects),
        ...(tag !== undefined && { tag }),
        variants: this.#variants(objects),
      });
    }
    return key;
  }

  #members(objects: PerVersion<Of<'object'>>): Member[] {
    return namesOf(objects, (o) => o.members.map((m) => m.name)).map((name) => {
      const members = objects.map((o) => o?.members.find((m) => m.name === name));
      return {
        name,
        type: this.#ref(members.map((m) => m?.type)),
        // Required only if every version that has the object has and requires it.
        optional: objects.some((o, version) => o && (!members[version] || 'default' in members[version])),
        presence: presenceOf(members),
        features: newest(members)?.features ?? [],
      };
    });
  }

  #variants(objects: PerVersion<Of<'object'>>): Variant[] {
    return namesOf(objects, (o) => (o.variants ?? []).map((v) => v.case)).map((name) => {
      const variants = objects.map((o) => o?.variants?.find((v) => v.case === name));
      return { case: name, type: this.#ref(variants.map((v) => v?.type)), presence: presenceOf(variants) };
    });
  }

  #options(alternates: PerVersion<Of<'alternate'>>): TypeRef[] {
    // An alternate has at most one option for each JSON type, so the JSON type pairs them.
    const kinds = namesOf(alternates, (a) => a.members.map((m) => m.type)).map((id) => id);
    const slots = new Map<string, (string | undefined)[]>();
    for (const id of kinds) {
      alternates.forEach((alternate, version) => {
        if (!alternate?.members.some((m) => m.type === id)) return;
        const entry = this.#byName[version]?.get(id);
        if (!entry) return;
        const slot = entry['meta-type'] === 'builtin' ? entry['json-type'] : entry['meta-type'];
        const ids = slots.get(slot) ?? alternates.map(() => undefined);
        ids[version] = id;
        slots.set(slot, ids);
      });
    }
    return [...slots.values()].map((ids) => this.#ref(ids));
  }
}

function enumValues(enums: PerVersion<Of<'enum'>>): EnumValue[] {
  const membersOf = (e: Of<'enum'>) => e.members ?? (e.values ?? []).map((name) => ({ name, features: undefined }));
  return namesOf(enums, (e) => membersOf(e).map((m) => m.name)).map((name) => {
    const values = enums.map((e) => e && membersOf(e).find((m) => m.name === name));
    return { name, presence: presenceOf(values), features: newest(values)?.features ?? [] };
  });
}

/**
 * A type that is reached by a path of all versions and by a path of the newest only came out twice, once in full and
 * once in part: the part is folded into the full one.
 */
function foldPartial(schema: MergedSchema): MergedSchema {
  const keys = [...schema.nodes.keys()].map((key) => ({ key, ids: key.split('|') }));
  const alias = new Map<string, string>();
  for (const { key, ids } of keys) {
    const fuller = keys
      .filter((other) => other.key !== key && ids.every((id, i) => id === '-' || id === other.ids[i]))
      .sort((a, b) => count(b.ids) - count(a.ids))[0];
    if (fuller) alias.set(key, fuller.key);
  }
  const ref = (type: TypeRef): TypeRef => ({
    parts: type.parts.map((part) => {
      if (part.kind === 'array') return { ...part, element: ref(part.element) };
      if (part.kind === 'node') return { ...part, key: alias.get(part.key) ?? part.key };
      return part;
    }),
  });
  const root = (r: Root): Root => ({ ...r, argument: ref(r.argument), ...(r.result && { result: ref(r.result) }) });
  const nodes = new Map<string, TypeNode>();
  for (const [key, node] of schema.nodes) {
    if (alias.has(key)) continue;
    if (node.kind === 'object') {
      nodes.set(key, {
        ...node,
        members: node.members.map((m) => ({ ...m, type: ref(m.type) })),
        variants: node.variants.map((v) => ({ ...v, type: ref(v.type) })),
      });
    } else if (node.kind === 'alternate') nodes.set(key, { ...node, options: node.options.map(ref) });
    else nodes.set(key, node);
  }
  return { ...schema, commands: schema.commands.map(root), events: schema.events.map(root), nodes };
}

function count(ids: readonly string[]): number {
  return ids.filter((id) => id !== '-').length;
}

function pick<K extends Kind>(entries: PerVersion<SchemaEntry>, kind: K): PerVersion<Of<K>> {
  return entries.map((e) => (isKind(e, kind) ? e : undefined));
}

function isKind<K extends Kind>(entry: SchemaEntry | undefined, kind: K): entry is Of<K> {
  return entry?.['meta-type'] === kind;
}

function presenceOf(values: PerVersion<unknown>): Presence {
  return values.flatMap((value, version) => (value === undefined ? [] : [version]));
}

function newest<T>(values: PerVersion<T>): T | undefined {
  return values.findLast((value) => value !== undefined);
}

/** Names in the order of the newest version, those of older versions only behind them. */
function namesOf<T>(values: PerVersion<T>, list: (value: T) => readonly string[]): string[] {
  return [...new Set(values.toReversed().flatMap((value) => (value === undefined ? [] : list(value))))];
}

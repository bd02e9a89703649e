import type { MergedSchema, Presence, Root, TypeNode, TypeRef } from './merge.js';
import { isEmptyObject, nameTypes } from './names.js';

const BUILTIN: Readonly<Record<string, string>> = {
  int: 'number',
  number: 'number',
  string: 'string',
  boolean: 'boolean',
  null: 'null',
  value: 'unknown',
};

/** Commands that take the properties of whatever they create, beyond what the schema says (`gen: false` in QEMU's source). */
const OPEN_ARGUMENTS: ReadonlySet<string> = new Set(['device_add']);

export interface EmitOptions {
  /** The comment at the top, without comment signs. */
  readonly header: string;
  readonly commandsName: string;
  readonly eventsName?: string;
  /** Whose versions "since" speaks of: `QEMU`. */
  readonly product: string;
  /** Names that the schema itself gives; without them types are named by path. */
  readonly names?: ReadonlyMap<string, string>;
}

/** The whole schema as one TypeScript file: types only, nothing at run time. */
export function emitTypes(schema: MergedSchema, options: EmitOptions): string {
  return new Emitter(schema, options).emit();
}

class Emitter {
  readonly #schema: MergedSchema;
  readonly #options: EmitOptions;
  readonly #names: ReadonlyMap<string, string>;

  constructor(schema: MergedSchema, options: EmitOptions) {
    this.#schema = schema;
    this.#options = options;
    this.#names = options.names ?? nameTypes(schema);
  }

  emit(): string {
    const { commands, events } = this.#schema;
    const { header, commandsName, eventsName } = this.#options;
    const out = [
      comment(header.split('\n'), ''),
      '',
      'export type Empty = Record<string, never>;',
      '',
      '/** Arguments and results of each command, by its name. */',
      `export interface ${commandsName} {`,
      ...commands.flatMap((root) => this.#command(root)),
      '}',
    ];
    if (eventsName !== undefined) {
      const outOfBand = commands.filter((c) => c.outOfBand).map((c) => quote(c.name));
      out.push(
        '',
        '/** Commands that QEMU also runs out of band. */',
        `export type OutOfBandCommand = ${outOfBand.join(' | ') || 'never'};`,
      );
      out.push(
        '',
        '/** The data of each event, by its name. */',
        `export interface ${eventsName} {`,
        ...events.flatMap((root) => this.#event(root)),
        '}',
      );
    }
    const nodes = [...this.#schema.nodes.values()].flatMap((node) => {
      const name = this.#names.get(node.key);
      return name === undefined ? [] : [{ name, node }];
    });
    nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const { name, node } of nodes) out.push('', ...this.#node(name, node));
    return `${out.join('\n')}\n`;
  }

  #command(root: Root): string[] {
    const open = OPEN_ARGUMENTS.has(root.name) ? ' & { readonly [property: string]: unknown }' : '';
    const result = root.result ? this.#type(root.result) : 'Empty';
    return [
      ...this.#doc('  ', root.presence, undefined, root.features, root.outOfBand ? ['Can run out of band.'] : []),
      `  ${key(root.name)}: { arguments: ${this.#type(root.argument)}${open}; returns: ${result} };`,
    ];
  }

  #event(root: Root): string[] {
    return [
      ...this.#doc('  ', root.presence, undefined, root.features),
      `  ${key(root.name)}: ${this.#type(root.argument)};`,
    ];
  }

  #node(name: string, node: TypeNode): string[] {
    const doc = this.#doc('', node.presence, undefined, []);
    if (node.kind === 'enum') {
      const values = node.values.flatMap((value) => [
        ...this.#doc('  ', value.presence, node.presence, value.features),
        `  | ${quote(value.name)}`,
      ]);
      return [...doc, `export type ${name} =`, ...terminated(values.length > 0 ? values : ['  never'])];
    }
    if (node.kind === 'alternate')
      return [...doc, `export type ${name} = ${node.options.map((o) => this.#type(o)).join(' | ')};`];
    if (node.tag === undefined) return [...doc, `export interface ${name} {`, ...this.#members(node, undefined), '}'];
    return [...doc, ...this.#union(name, node, node.tag)];
  }

  #members(node: Extract<TypeNode, { kind: 'object' }>, except: string | undefined): string[] {
    return node.members
      .filter((member) => member.name !== except)
      .flatMap((member) => [
        ...this.#doc('  ', member.presence, node.presence, member.features),
        `  ${key(member.name)}${member.optional ? '?' : ''}: ${this.#type(member.type)};`,
      ]);
  }

  /** A discriminated union: common members, and per value of the tag what belongs to it. */
  #union(name: string, node: Extract<TypeNode, { kind: 'object' }>, tag: string): string[] {
    const tagMember = node.members.find((member) => member.name === tag);
    const mark = `${key(tag)}${tagMember?.optional ? '?' : ''}`;
    const plain: string[] = [];
    const cases: string[] = [];
    const seen = new Set<string>();
    for (const variant of node.variants) {
      seen.add(variant.case);
      const type = this.#type(variant.type);
      if (type === 'Empty') {
        plain.push(quote(variant.case));
        continue;
      }
      cases.push(
        ...this.#doc('  ', variant.presence, node.presence, []),
        `  | ({ ${mark}: ${quote(variant.case)} } & ${type})`,
      );
    }
    for (const value of this.#enumValues(tagMember?.type)) if (!seen.has(value)) plain.push(quote(value));
    if (plain.length > 0) cases.push(`  | { ${mark}: ${plain.join(' | ')} }`);
    const common = this.#members(node, tag);
    if (common.length === 0) return [`export type ${name} =`, ...terminated(cases)];
    return [`export type ${name} = {`, ...common, '} & (', ...cases, ');'];
  }

  #enumValues(type: TypeRef | undefined): string[] {
    return (type?.parts ?? []).flatMap((part) => {
      const node = part.kind === 'node' ? this.#schema.nodes.get(part.key) : undefined;
      return node?.kind === 'enum' ? node.values.map((value) => value.name) : [];
    });
  }

  #type(ref: TypeRef): string {
    const texts = ref.parts.map((part) => {
      if (part.kind === 'builtin') return BUILTIN[part.json] ?? 'unknown';
      if (part.kind === 'array') {
        const element = this.#type(part.element);
        return `readonly ${element.includes(' ') ? `(${element})` : element}[]`;
      }
      const node = this.#schema.nodes.get(part.key);
      if (!node || isEmptyObject(node)) return 'Empty';
      return this.#names.get(part.key) ?? 'unknown';
    });
    return [...new Set(texts)].join(' | ') || 'Empty';
  }

  /** Says only what differs from what it is part of. */
  #doc(
    indent: string,
    presence: Presence,
    within: Presence | undefined,
    features: readonly string[],
    extra: readonly string[] = [],
  ): string[] {
    const { versions } = this.#schema;
    const first = presence[0] ?? 0;
    const last = presence.at(-1) ?? 0;
    const sentences = [...extra];
    if (first > (within?.[0] ?? 0)) sentences.push(`Since ${this.#options.product} ${versions[first]}.`);
    if (last < (within?.at(-1) ?? versions.length - 1))
      sentences.push(`Up to ${this.#options.product} ${versions[last]}.`);
    if (features.includes('unstable')) sentences.push('Unstable: may change with any version.');
    if (features.includes('deprecated')) sentences.push('@deprecated by QEMU.');
    if (sentences.length === 0) return [];
    return [`${indent}/** ${sentences.join(' ')} */`];
  }
}

function terminated(lines: readonly string[]): string[] {
  return [...lines.slice(0, -1), `${lines.at(-1)};`];
}

function comment(lines: readonly string[], indent: string): string {
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`].join('\n');
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name);
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

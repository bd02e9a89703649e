import type { QmpReturn } from '@qmpilot/core/qmp';
import { words } from './line.js';

export type Schema = QmpReturn<'query-qmp-schema'>;
type Entry = Schema[number];

/** Completes a typed line from the schema of the connected QEMU. */
export class Completer {
  readonly #byName: ReadonlyMap<string, Entry>;
  readonly #commands: readonly string[];

  /** @param extra words that are commands of the prompt itself */
  constructor(schema: Schema, extra: readonly string[] = []) {
    this.#byName = new Map(schema.map((entry) => [entry.name, entry]));
    const commands = schema.filter((entry) => entry['meta-type'] === 'command').map(({ name }) => name);
    this.#commands = [...extra, ...commands].toSorted();
  }

  /** Returns completions of the last word, and the part of it that they replace, as node:readline expects. */
  complete(line: string): [string[], string] {
    const head = /^\s*(\S*)$/.exec(line);
    if (head)
      return fit(
        this.#commands.map((name) => `${name} `),
        head[1] ?? '',
      );
    const [command = '', ...given] = words(line);
    const entry = this.#byName.get(command);
    if (entry?.['meta-type'] !== 'command') return [[], line];
    const typed = /\s$/.test(line) ? '' : (given.pop() ?? '');
    if (line.slice(command.length).trimStart().startsWith('{')) return this.#completeJson(entry['arg-type'], line);
    return this.#completePair(entry['arg-type'], typed, given);
  }

  #completePair(root: string, typed: string, given: readonly string[]): [string[], string] {
    const values = new Map(given.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]));
    const at = typed.indexOf('=');
    const path = (at < 0 ? typed : typed.slice(0, at)).split('.');
    const last = path.pop() ?? '';
    let type = root;
    path.forEach((key, index) => {
      const before = path
        .slice(0, index)
        .map((part) => `${part}.`)
        .join('');
      type = this.#members(type, (tag) => values.get(before + tag)).get(key) ?? '';
    });
    const prefix = path.map((key) => `${key}.`).join('');
    const members = this.#members(type, (tag) => values.get(prefix + tag));
    if (at >= 0)
      return fit(
        this.#values(members.get(last) ?? '').map((value) => `${prefix}${last}=${value} `),
        typed,
      );
    const names = [...members].filter(([name]) => !values.has(prefix + name));
    return fit(
      names.map(([name, inner]) => `${prefix}${name}${this.#isObject(inner) ? '.' : '='}`),
      typed,
    );
  }

  /** Completes JSON: the member names of the outermost object, and their values. */
  #completeJson(root: string, line: string): [string[], string] {
    const value = /"([^"]+)"\s*:\s*("?[^",{}[\]]*)$/.exec(line);
    const tags = (tag: string) => new RegExp(`"${tag}"\\s*:\\s*"([^"]*)"`).exec(line)?.[1];
    const members = this.#members(root, tags);
    if (value) {
      const [, name = '', typed = ''] = value;
      return fit(
        this.#values(members.get(name) ?? '').map((one) => (/^(true|false)$/.test(one) ? one : `"${one}"`)),
        typed,
      );
    }
    const name = /[{,]\s*("?[^":{}[\]]*)$/.exec(line);
    if (!name) return [[], line];
    return fit(
      [...members.keys()].map((one) => `"${one}": `),
      name[1] ?? '',
    );
  }

  /** The members of an object type, including those of the variant that the tag selects. */
  #members(type: string, valueOf: (tag: string) => string | undefined): Map<string, string> {
    const entry = this.#object(type);
    if (!entry) return new Map();
    const own = entry.members.map(({ name, type: of }): [string, string] => [name, of]);
    const chosen = entry.tag === undefined ? undefined : valueOf(entry.tag);
    const variant = entry.variants?.find((one) => one.case === chosen);
    return new Map([...own, ...(variant ? this.#members(variant.type, valueOf) : [])]);
  }

  #object(type: string): Extract<Entry, { 'meta-type': 'object' }> | undefined {
    const entry = this.#byName.get(type);
    if (entry?.['meta-type'] === 'object') return entry;
    if (entry?.['meta-type'] !== 'alternate') return undefined;
    for (const { type: option } of entry.members) {
      const object = this.#byName.get(option);
      if (object?.['meta-type'] === 'object') return object;
    }
    return undefined;
  }

  #isObject(type: string): boolean {
    return this.#object(type) !== undefined;
  }

  #values(type: string): string[] {
    const entry = this.#byName.get(type);
    if (entry?.['meta-type'] === 'enum') return [...(entry.values ?? entry.members?.map(({ name }) => name) ?? [])];
    if (entry?.['meta-type'] === 'builtin' && entry['json-type'] === 'boolean') return ['true', 'false'];
    if (entry?.['meta-type'] === 'alternate') return entry.members.flatMap((option) => this.#values(option.type));
    return [];
  }
}

function fit(candidates: readonly string[], typed: string): [string[], string] {
  return [candidates.filter((candidate) => candidate.startsWith(typed)).toSorted(), typed];
}

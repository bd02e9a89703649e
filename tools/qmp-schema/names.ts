import type { MergedSchema, TypeNode, TypeRef } from './merge.js';

/** Words that the emitted file uses for itself. */
const RESERVED = ['Empty', 'QmpCommands', 'QmpEvents', 'OutOfBandCommand', 'GuestCommands'];
const ROLE = /(?:Arguments|Return|Data|Item)$/;

/**
 * A name for each type, by the shortest way to it from a command or event, alphabetically first among equals:
 * `query-status` -> member `status` is `QueryStatusStatus`. A shape that is used in many places has one name.
 */
export function nameTypes(schema: MergedSchema): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set(RESERVED);
  const queue: { readonly key: string; readonly wanted: string }[] = [];

  const offer = (type: TypeRef, wanted: string, item = false): void => {
    for (const part of type.parts) {
      if (part.kind === 'array') offer(part.element, item ? `${wanted.replace(ROLE, '')}Item` : wanted, item);
      else if (part.kind === 'node') queue.push({ key: part.key, wanted });
    }
  };

  for (const { name, argument } of schema.commands) offer(argument, `${pascal(name)}Arguments`);
  for (const { name, result } of schema.commands) if (result) offer(result, `${pascal(name)}Return`, true);
  for (const { name, argument } of schema.events) offer(argument, `${pascal(name)}Data`);

  for (let next = queue.shift(); next; next = queue.shift()) {
    if (names.has(next.key)) continue;
    const node = schema.nodes.get(next.key);
    if (!node || isEmptyObject(node)) continue;
    const name = free(next.wanted, taken);
    taken.add(name);
    names.set(next.key, name);
    const base = name.replace(ROLE, '');
    if (node.kind === 'object') {
      for (const member of node.members) offer(member.type, base + pascal(member.name));
      for (const variant of node.variants) offer(variant.type, base + pascal(variant.case));
    } else if (node.kind === 'alternate') {
      for (const option of node.options) offer(option, `${base}Options`);
    }
  }
  return names;
}

/** Names for a schema that has names of its own: the newest version's. */
export function ownNames(schema: MergedSchema): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set(RESERVED);
  for (const node of schema.nodes.values()) {
    if (isEmptyObject(node)) continue;
    const own = node.key.split('|').findLast((id) => id !== '-') ?? node.key;
    const name = free(/^[A-Z]/.test(own) ? own : pascal(own), taken);
    taken.add(name);
    names.set(node.key, name);
  }
  return names;
}

export function isEmptyObject(node: TypeNode): boolean {
  return node.kind === 'object' && node.members.length === 0 && node.variants.length === 0;
}

/** `blockdev-add`, `BLOCK_JOB_READY`, `x86_64`: `BlockdevAdd`, `BlockJobReady`, `X8664`. */
function pascal(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter(Boolean);
  const text = words
    .map((word) => (word === word.toUpperCase() ? word.toLowerCase() : word))
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
  return /^\d/.test(text) ? `N${text}` : text;
}

function free(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  for (let n = 2; ; n++) if (!taken.has(`${wanted}${n}`)) return `${wanted}${n}`;
}

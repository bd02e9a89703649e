import type { Btf } from '../btf/btf.js';

const MAX_DEPTH = 12;
/** Members that are looked at: those of a union are all at the same place. */
const MAX_STEPS = 20_000;

/** The path to the struct `wanted` at `offset` bytes in a type: `uring_lock`, `s_writers.rw_sem[0]`. */
export function memberAt(btf: Btf, type: number, offset: number, wanted: string): string | undefined {
  return search(btf, type, offset, wanted, { depth: 0, steps: { left: MAX_STEPS } });
}

interface Bound {
  readonly depth: number;
  readonly steps: { left: number };
}

function search(btf: Btf, type: number, offset: number, wanted: string, bound: Bound): string | undefined {
  const shape = btf.shape(type);
  if (!shape || bound.depth > MAX_DEPTH) return undefined;
  const deeper = { ...bound, depth: bound.depth + 1 };
  if (shape.kind === 'struct') {
    if (offset === 0 && shape.name === wanted) return '';
    for (const member of btf.members(shape.id)) {
      if ((bound.steps.left -= 1) < 0) return undefined;
      const inner = offset - (member.bit >> 3);
      if (inner < 0 || inner >= btf.sizeOf(member.type)) continue;
      const rest = search(btf, member.type, inner, wanted, deeper);
      if (rest !== undefined) return join(member.name, rest);
    }
    return undefined;
  }
  if (shape.kind !== 'array') return undefined;
  const size = btf.sizeOf(shape.element);
  if (size === 0) return undefined;
  const rest = search(btf, shape.element, offset % size, wanted, deeper);
  return rest === undefined ? undefined : join(`[${Math.floor(offset / size)}]`, rest);
}

function join(name: string, rest: string): string {
  return rest === '' || rest.startsWith('[') ? `${name}${rest}` : `${name}.${rest}`;
}

import type { KernelReader } from '../kernel-types.js';

const MAX_DEPTH = 12;

/** The path to the struct `wanted` at `offset` bytes in a type: `uring_lock`, `s_writers.rw_sem[0]`. */
export function memberAt(
  kernel: KernelReader,
  type: number,
  offset: number,
  wanted: string,
  depth = 0,
): string | undefined {
  const { btf } = kernel;
  const shape = btf.shape(type);
  if (!shape || depth > MAX_DEPTH) return undefined;
  if (shape.kind === 'struct') {
    if (offset === 0 && shape.name === wanted) return '';
    for (const member of btf.members(shape.id)) {
      // The members of a union are all at the same place.
      if (!kernel.step()) return undefined;
      const inner = offset - (member.bit >> 3);
      if (inner < 0 || inner >= btf.sizeOf(member.type)) continue;
      const rest = memberAt(kernel, member.type, inner, wanted, depth + 1);
      if (rest !== undefined) return join(member.name, rest);
    }
    return undefined;
  }
  if (shape.kind !== 'array') return undefined;
  const size = btf.sizeOf(shape.element);
  if (size === 0) return undefined;
  const rest = memberAt(kernel, shape.element, offset % size, wanted, depth + 1);
  return rest === undefined ? undefined : join(`[${Math.floor(offset / size)}]`, rest);
}

function join(name: string, rest: string): string {
  return rest === '' || rest.startsWith('[') ? `${name}${rest}` : `${name}.${rest}`;
}

import type { Btf } from '../btf/btf.js';
import type { KernelReader } from '../kernel-types.js';
import { memberAt } from './member-at.js';

/** An object of the kernel with its type: where a search begins. */
export interface TypedObject {
  readonly struct: string;
  readonly address: bigint;
}

/** The object that holds a lock, and the lock's member in it. */
export interface ContainingObject extends TypedObject {
  readonly size: number;
  /** `uring_lock` */
  readonly member: string;
}

interface PointerField {
  readonly offset: number;
  readonly type: number;
}

const MAX_OBJECTS = 3000;
const MAX_NESTING = 6;
/** Pointers of one type that are followed. */
const MAX_POINTERS = 2000;
/** Elements of an array that are followed. */
const MAX_ELEMENTS = 16;
const KERNEL_HALF = 0xff00_0000_0000_0000n;
/** These link objects of other types: the type behind the pointer is not that of the object. */
const LINKS = new Set([
  'list_head',
  'hlist_node',
  'hlist_head',
  'rb_node',
  'callback_head',
  'llist_node',
  'plist_node',
]);

/**
 * Finds the object that holds a lock by following pointers, whose types the kernel's type information has, from objects that
 * have to do with it: breadth first, and no further than a bound.
 */
export function findContaining(
  kernel: KernelReader,
  roots: readonly TypedObject[],
  lock: bigint,
  struct: string,
): ContainingObject | undefined {
  const { btf } = kernel;
  const fields = new Map<number, readonly PointerField[]>();
  const seen = new Set<string>();
  const queue = roots.flatMap(({ struct: name, address }) => {
    const type = btf.struct(name);
    return type === undefined ? [] : [{ type, address }];
  });
  for (let index = 0; index < queue.length && index < MAX_OBJECTS; index += 1) {
    const object = queue[index];
    if (!object) break;
    const { type, address } = object;
    const size = btf.sizeOf(type);
    if (lock >= address && lock < address + BigInt(size)) {
      const member = memberAt(kernel, type, Number(lock - address), struct);
      const shape = btf.shape(type);
      if (member !== undefined && member !== '' && shape?.kind === 'struct')
        return { struct: shape.name, address, size, member };
    }
    let pointers = fields.get(type);
    if (!pointers) {
      pointers = pointerFields(btf, type);
      fields.set(type, pointers);
    }
    for (const field of pointers) {
      if (!kernel.step()) return undefined;
      const target = kernel.memory.u64(address + BigInt(field.offset));
      if (target === undefined || target < KERNEL_HALF || (target & 7n) !== 0n) continue;
      const key = `${field.type} ${target}`;
      if (seen.has(key)) continue;
      seen.add(key);
      queue.push({ type: field.type, address: target });
    }
  }
  return undefined;
}

/** The pointers to whole structs in a type, those in nested structs and arrays included. */
function pointerFields(btf: Btf, type: number): PointerField[] {
  const fields: PointerField[] = [];
  const collect = (inner: number, base: number, depth: number): void => {
    const shape = btf.shape(inner);
    if (!shape || depth > MAX_NESTING || fields.length >= MAX_POINTERS) return;
    if (shape.kind === 'struct') {
      if (LINKS.has(shape.name)) return;
      for (const member of btf.members(shape.id)) collect(member.type, base + (member.bit >> 3), depth + 1);
    } else if (shape.kind === 'array') {
      const size = btf.sizeOf(shape.element);
      for (let index = 0; size > 0 && index < Math.min(shape.count, MAX_ELEMENTS); index += 1)
        collect(shape.element, base + index * size, depth + 1);
    } else if (shape.kind === 'pointer') {
      const target = btf.shape(shape.target);
      if (target?.kind === 'struct' && target.size > 0 && !LINKS.has(target.name))
        fields.push({ offset: base, type: target.id });
    }
  };
  collect(type, 0, 0);
  return fields;
}

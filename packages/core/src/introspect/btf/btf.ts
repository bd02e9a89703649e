/** BPF Type Format, Documentation/bpf/btf.rst: the kernel's own description of its types, /sys/kernel/btf/vmlinux. */
const MAGIC = 0xeb9f;
const HEADER = 24;

const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  prototype: 13,
  variable: 14,
  section: 15,
  declarationTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;
const MODIFIERS: ReadonlySet<number> = new Set([KIND.typedef, KIND.volatile, KIND.const, KIND.restrict, KIND.typeTag]);
/** Modifiers and nested members end well before this; a type that names itself does not. */
const MAX_DEPTH = 32;
/** Members of one struct, those of unnamed ones in it included. */
const MAX_MEMBERS = 10_000;
/** Kernels have 100 000 to 250 000. */
const MAX_TYPES = 2_000_000;
/** Of a function; the kernel's have 15 at most. */
const MAX_PARAMETERS = 32;
/** include/linux/kallsyms.h: KSYM_NAME_LEN. */
const MAX_NAME = 512;
const MAX_UNNAMED = 8;

/** A member of a struct, with those of unnamed structs and unions inside it. */
export interface BtfMember {
  readonly name: string;
  /** In bits from the start of the struct. */
  readonly bit: number;
  /** Of a bit field; 0 for others. */
  readonly bits: number;
  readonly type: number;
}

/** A type that was resolved through its modifiers. */
export type BtfShape =
  | { readonly kind: 'struct'; readonly id: number; readonly name: string; readonly size: number }
  | { readonly kind: 'pointer'; readonly target: number }
  | { readonly kind: 'array'; readonly element: number; readonly count: number }
  | { readonly kind: 'other'; readonly size: number };

/** Type information of a kernel. */
export class Btf {
  readonly #bytes: Buffer;
  readonly #strings: number;
  /** Where each type begins; type 0 is void. */
  readonly #types: Uint32Array;
  readonly #structs = new Map<string, number>();
  readonly #offsets = new Map<string, BtfMember | undefined>();
  readonly #members = new Map<number, readonly BtfMember[]>();
  #functions: Map<string, number> | undefined;

  private constructor(bytes: Buffer, strings: number, types: Uint32Array) {
    this.#bytes = bytes;
    this.#strings = strings;
    this.#types = types;
    for (let id = 1; id < types.length; id += 1) {
      if (this.#kind(id) !== KIND.struct) continue;
      const name = this.#name(id);
      if (name !== '' && !this.#structs.has(name)) this.#structs.set(name, id);
    }
  }

  /** Reads type information; undefined when the bytes are none. */
  static parse(bytes: Buffer): Btf | undefined {
    if (bytes.length < HEADER || bytes.readUInt16LE(0) !== MAGIC || bytes.readUInt8(2) !== 1) return undefined;
    const header = bytes.readUInt32LE(4);
    const [types, typesLength] = [header + bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
    const [strings, stringsLength] = [header + bytes.readUInt32LE(16), bytes.readUInt32LE(20)];
    if (types + typesLength > bytes.length || strings + stringsLength > bytes.length) return undefined;
    const starts = [0];
    for (let at = types; at + 12 <= types + typesLength;) {
      if (starts.length > MAX_TYPES) return undefined;
      starts.push(at);
      const info = bytes.readUInt32LE(at + 4);
      at += 12 + payload((info >>> 24) & 31, info & 0xffff);
      if (at > types + typesLength) return undefined;
    }
    return new Btf(bytes.subarray(0, strings + stringsLength), strings, Uint32Array.from(starts));
  }

  /** Whether the kernel has a struct of this name. */
  has(struct: string): boolean {
    return this.#structs.has(struct);
  }

  struct(name: string): number | undefined {
    return this.#structs.get(name);
  }

  /** Size of a struct in bytes. */
  size(struct: string): number | undefined {
    const id = this.#structs.get(struct);
    return id === undefined ? undefined : this.#word(id, 8);
  }

  /** The member at a path such as `thread.sp`, with its place in the outermost struct. */
  member(struct: string, path: string): BtfMember | undefined {
    const key = `${struct} ${path}`;
    if (!this.#offsets.has(key)) this.#offsets.set(key, this.#find(struct, path));
    return this.#offsets.get(key);
  }

  /** Offset of a member in bytes. */
  offset(struct: string, path: string): number | undefined {
    const found = this.member(struct, path);
    return found && found.bit >> 3;
  }

  /** The structs that a function takes pointers to. */
  parameters(name: string): number[] {
    this.#functions ??= this.#namedFunctions();
    const prototype = this.#word(this.#functions.get(name) ?? 0, 8);
    if (this.#kind(prototype) !== KIND.prototype) return [];
    const count = Math.min(this.#word(prototype, 4) & 0xffff, MAX_PARAMETERS);
    return Array.from({ length: count }, (_, index) => this.shape(this.#word(prototype, 16 + 8 * index))).flatMap(
      (shape) => {
        const target = shape?.kind === 'pointer' ? this.shape(shape.target) : undefined;
        return target?.kind === 'struct' ? [target.id] : [];
      },
    );
  }

  /** All members of a struct or union, those of unnamed ones inside it as its own. */
  members(id: number): readonly BtfMember[] {
    const known = this.#members.get(id);
    if (known) return known;
    const members: BtfMember[] = [];
    this.#flatten(id, 0, 0, members, { left: MAX_MEMBERS });
    this.#members.set(id, members);
    return members;
  }

  /** What a type is behind its typedefs and qualifiers; undefined for one that there is not. */
  shape(type: number): BtfShape | undefined {
    const id = this.#strip(type);
    if (id === undefined || id === 0) return undefined;
    const kind = this.#kind(id);
    // A declaration without its members, which another unit of the kernel has.
    if (kind === KIND.forward) {
      const whole = this.#structs.get(this.#name(id));
      return whole === undefined
        ? { kind: 'other', size: 0 }
        : { kind: 'struct', id: whole, name: this.#name(id), size: this.#word(whole, 8) };
    }
    if (kind === KIND.struct || kind === KIND.union)
      return { kind: 'struct', id, name: this.#name(id), size: this.#word(id, 8) };
    if (kind === KIND.pointer) return { kind: 'pointer', target: this.#word(id, 8) };
    if (kind === KIND.array) return { kind: 'array', element: this.#word(id, 12), count: this.#word(id, 20) };
    return { kind: 'other', size: this.#word(id, 8) };
  }

  /** Size of any type in bytes; 0 where it has none. */
  sizeOf(type: number, depth = 0): number {
    const shape = this.shape(type);
    if (!shape || depth > MAX_DEPTH) return 0;
    if (shape.kind === 'pointer') return 8;
    if (shape.kind === 'array') return shape.count * this.sizeOf(shape.element, depth + 1);
    return shape.size;
  }

  #namedFunctions(): Map<string, number> {
    const named = new Map<string, number>();
    for (let id = 1; id < this.#types.length; id += 1)
      if (this.#kind(id) === KIND.function) named.set(this.#name(id), id);
    return named;
  }

  #find(struct: string, path: string): BtfMember | undefined {
    let id = this.#structs.get(struct);
    let found: BtfMember | undefined;
    for (const name of path.split('.')) {
      if (id === undefined) return undefined;
      const member = this.members(id).find((one) => one.name === name);
      if (!member) return undefined;
      found = { ...member, bit: (found?.bit ?? 0) + member.bit };
      const shape = this.shape(member.type);
      id = shape?.kind === 'struct' ? shape.id : undefined;
    }
    return found;
  }

  #flatten(id: number, base: number, depth: number, into: BtfMember[], bound: { left: number }): void {
    const at = this.#types[id];
    if (at === undefined || at === 0 || depth > MAX_UNNAMED) return;
    const info = this.#bytes.readUInt32LE(at + 4);
    const bitFields = info >>> 31 === 1;
    for (let index = 0; index < (info & 0xffff); index += 1) {
      // Unnamed ones count as well: a type may hold itself many times.
      if ((bound.left -= 1) < 0) return;
      const place = at + 12 + index * 12;
      const name = this.#text(this.#bytes.readUInt32LE(place));
      const type = this.#bytes.readUInt32LE(place + 4);
      const word = this.#bytes.readUInt32LE(place + 8);
      const bit = base + (bitFields ? word & 0xff_ffff : word);
      if (name !== '') {
        into.push({ name, bit, bits: bitFields ? word >>> 24 : 0, type });
        continue;
      }
      const inner = this.#strip(type);
      if (inner !== undefined && (this.#kind(inner) === KIND.struct || this.#kind(inner) === KIND.union))
        this.#flatten(inner, bit, depth + 1, into, bound);
    }
  }

  #strip(type: number): number | undefined {
    let id = type;
    for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
      if (id !== 0 && (this.#types[id] ?? 0) === 0) return undefined;
      if (id === 0 || !MODIFIERS.has(this.#kind(id))) return id;
      id = this.#word(id, 8);
    }
    return undefined;
  }

  #kind(id: number): number {
    return (this.#word(id, 4) >>> 24) & 31;
  }

  #name(id: number): string {
    return this.#text(this.#word(id, 0));
  }

  #word(id: number, offset: number): number {
    const at = this.#types[id] ?? 0;
    return at === 0 || at + offset + 4 > this.#bytes.length ? 0 : this.#bytes.readUInt32LE(at + offset);
  }

  #text(offset: number): string {
    const from = this.#strings + offset;
    const bytes = this.#bytes.subarray(from, from + MAX_NAME);
    const end = bytes.indexOf(0);
    return end === -1 ? '' : bytes.toString('latin1', 0, end);
  }
}

/** Bytes behind the twelve that each type has. */
function payload(kind: number, count: number): number {
  switch (kind) {
    case KIND.int:
    case KIND.variable:
    case KIND.declarationTag:
      return 4;
    case KIND.array:
      return 12;
    case KIND.struct:
    case KIND.union:
    case KIND.section:
    case KIND.enum64:
      return 12 * count;
    case KIND.enum:
    case KIND.prototype:
      return 8 * count;
    default:
      return 0;
  }
}

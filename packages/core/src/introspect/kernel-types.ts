import { QmpilotError } from '../errors.js';
import type { Btf } from './btf/btf.js';
import type { KernelMemory } from './memory/kernel-memory.js';

/** Members and pointers that are looked at to name all locks; each search has bounds of its own. */
const MAX_STEPS = 20_000_000;

/** Reads members of the kernel's structs by name; where they are is in the kernel's type information. */
export class KernelReader {
  readonly memory: KernelMemory;
  readonly btf: Btf;
  #steps = 0;

  constructor(memory: KernelMemory, btf: Btf) {
    this.memory = memory;
    this.btf = btf;
  }

  /** Counts a step of a search through types or pointers; false when all searches together had too many. */
  step(): boolean {
    this.#steps += 1;
    return this.#steps <= MAX_STEPS;
  }

  /** Whether the kernel has this member. */
  has(struct: string, path: string): boolean {
    return this.btf.member(struct, path) !== undefined;
  }

  /**
   * Offset of a member that all supported kernels have.
   * @throws {USAGE} when this one has not
   */
  offset(struct: string, path: string): bigint {
    const offset = this.btf.offset(struct, path);
    if (offset !== undefined) return BigInt(offset);
    throw new QmpilotError('USAGE', `cannot read the kernel's memory: its type information has no ${struct}.${path}`, {
      hint: 'kernels 5.10 and later with CONFIG_DEBUG_INFO_BTF are supported',
    });
  }

  /** A member's address. */
  at(base: bigint, struct: string, path: string): bigint {
    return base + this.offset(struct, path);
  }

  /** A member of 8 bytes; undefined where it is not mapped, or the kernel has no such member. */
  pointer(base: bigint, struct: string, path: string): bigint | undefined {
    const offset = this.btf.offset(struct, path);
    return offset === undefined ? undefined : this.memory.u64(base + BigInt(offset));
  }

  /** An integer of up to 4 bytes. */
  number(base: bigint, struct: string, path: string): number | undefined {
    const member = this.btf.member(struct, path);
    if (!member) return undefined;
    const address = base + BigInt(member.bit >> 3);
    switch (this.btf.sizeOf(member.type)) {
      case 1:
        return this.memory.u8(address);
      case 2:
        return this.memory.u16(address);
      default:
        return this.memory.u32(address);
    }
  }

  text(base: bigint, struct: string, path: string, max: number): string | undefined {
    const offset = this.btf.offset(struct, path);
    return offset === undefined ? undefined : this.memory.text(base + BigInt(offset), max);
  }

  /**
   * The elements of a list, `list_head` after `list_head`: addresses of the structs that hold the nodes. Ends at the head, at
   * a node that was there before, at a wild pointer, or after `max`; `complete` tells.
   */
  list(
    head: bigint,
    struct: string,
    path: string,
    max: number,
  ): { readonly entries: bigint[]; readonly complete: boolean } {
    const offset = this.offset(struct, path);
    const entries: bigint[] = [];
    const seen = new Set<bigint>();
    for (let node = this.memory.u64(head); node !== head; node = this.memory.u64(node)) {
      if (node === undefined || node === 0n || seen.has(node) || entries.length >= max)
        return { entries, complete: false };
      seen.add(node);
      entries.push(node - offset);
    }
    return { entries, complete: true };
  }
}

import type { KernelReader } from '../kernel-types.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';

/** How to get from one frame to its caller: Documentation/arch/x86/orc-unwinder.rst. */
export interface OrcEntry {
  readonly spOffset: number;
  readonly bpOffset: number;
  readonly spRegister: number;
  readonly bpRegister: number;
  readonly type: 'call' | 'registers' | 'partial-registers' | 'end' | 'undefined';
}

interface OrcTable {
  /** Of 32-bit values, each relative to its own address. */
  readonly places: bigint;
  readonly entries: bigint;
  readonly count: number;
}

const MAX_ENTRIES = 8_000_000;

/** `orc_type` has two bits up to 6.3, with the end of the stack in a bit of its own, and three since 6.4. */
const TYPES_OF_2_BITS = ['call', 'registers', 'partial-registers', 'undefined'] as const;
const TYPES_OF_3_BITS = ['undefined', 'end', 'call', 'registers', 'partial-registers'] as const;

/** The unwind tables that objtool put into the kernel and its modules. */
export class OrcTables {
  readonly #kernel: KernelReader;
  readonly #symbols: KernelSymbols;
  readonly #image: OrcTable | undefined;
  readonly #size: number;
  readonly #found = new Map<bigint, OrcEntry | undefined>();

  constructor(kernel: KernelReader, symbols: KernelSymbols) {
    this.#kernel = kernel;
    this.#symbols = symbols;
    this.#size = kernel.btf.size('orc_entry') ?? 0;
    const [places, end, entries] = ['__start_orc_unwind_ip', '__stop_orc_unwind_ip', '__start_orc_unwind'].map((name) =>
      symbols.address(name),
    );
    if (places === undefined || end === undefined || entries === undefined || this.#size === 0) return;
    this.#image = { places, entries, count: Number((end - places) / 4n) };
  }

  /** Whether the kernel was built with them (CONFIG_UNWINDER_ORC). */
  get present(): boolean {
    return this.#image !== undefined;
  }

  /** The entry for an instruction. */
  find(address: bigint): OrcEntry | undefined {
    if (!this.#found.has(address)) {
      const module = this.#symbols.moduleAt(address);
      const table = module ? module.orc : this.#image;
      this.#found.set(address, table && this.#search(table, address));
    }
    return this.#found.get(address);
  }

  #search({ places, entries, count }: OrcTable, address: bigint): OrcEntry | undefined {
    if (count <= 0 || count > MAX_ENTRIES || this.#size === 0) return undefined;
    let [low, high] = [0, count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = places + BigInt(4 * middle);
      const relative = this.#kernel.memory.i32(at);
      if (relative === undefined) return undefined;
      if (at + BigInt(relative) <= address) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#read(entries + BigInt((low - 1) * this.#size));
  }

  #read(at: bigint): OrcEntry | undefined {
    const spOffset = this.#field(at, 'sp_offset');
    const bpOffset = this.#field(at, 'bp_offset');
    const spRegister = this.#field(at, 'sp_reg');
    const bpRegister = this.#field(at, 'bp_reg');
    const type = this.#field(at, 'type');
    if (spOffset === undefined || bpOffset === undefined || spRegister === undefined || bpRegister === undefined)
      return undefined;
    const wide = this.#kernel.btf.member('orc_entry', 'type')?.bits === 3;
    const ends = this.#field(at, 'end') === 1;
    const types = wide ? TYPES_OF_3_BITS : TYPES_OF_2_BITS;
    return {
      spOffset: (spOffset << 16) >> 16,
      bpOffset: (bpOffset << 16) >> 16,
      spRegister,
      bpRegister,
      type: ends ? 'end' : (types[type ?? 0] ?? 'undefined'),
    };
  }

  /** A member of up to 16 bits, a bit field or not. */
  #field(at: bigint, name: string): number | undefined {
    const member = this.#kernel.btf.member('orc_entry', name);
    if (!member) return undefined;
    const byte = member.bit >> 3;
    const low = this.#kernel.memory.u8(at + BigInt(byte));
    const high = byte + 1 < this.#size ? this.#kernel.memory.u8(at + BigInt(byte + 1)) : 0;
    if (low === undefined || high === undefined) return undefined;
    const word = (low | (high << 8)) >>> (member.bit & 7);
    return member.bits === 0 ? word & 0xffff : word & ((1 << member.bits) - 1);
  }
}

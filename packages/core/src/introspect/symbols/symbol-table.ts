/** A place in the kernel's code or data: `__mutex_lock.constprop.0+0x8b`. */
export interface SymbolPlace {
  readonly name: string;
  readonly offset: number;
  readonly module?: string;
}

export interface SymbolTable {
  readonly size: number;
  /** The address of a symbol; of the first, where several have this name. */
  address(name: string): bigint | undefined;
  /** The symbol at or before an address, at most `within` bytes before it. */
  at(address: bigint, within?: number): SymbolPlace | undefined;
  /** The names of up to `count` symbols before the one at an address, and as many behind it, from near to far. */
  around(address: bigint, count: number): string[];
}

/** Further than any function or object reaches. */
const DEFAULT_REACH = 2 ** 20;

/** Symbols of the kernel's image, or of one module. */
export class SortedSymbols implements SymbolTable {
  readonly #addresses: BigUint64Array;
  readonly #names: readonly string[];
  readonly #module: string | undefined;
  #byName: Map<string, bigint> | undefined;

  constructor(addresses: BigUint64Array, names: readonly string[], module?: string) {
    const order = Uint32Array.from(addresses, (_, index) => index);
    const sorted = addresses.every((address, index) => index === 0 || (addresses[index - 1] ?? 0n) <= address);
    if (!sorted) order.sort((a, b) => compare(addresses[a] ?? 0n, addresses[b] ?? 0n));
    this.#addresses = sorted ? addresses : BigUint64Array.from(order, (index) => addresses[index] ?? 0n);
    this.#names = sorted ? names : Array.from(order, (index) => names[index] ?? '');
    this.#module = module;
  }

  get size(): number {
    return this.#names.length;
  }

  address(name: string): bigint | undefined {
    if (!this.#byName) {
      this.#byName = new Map();
      for (let index = this.#names.length - 1; index >= 0; index -= 1)
        this.#byName.set(this.#names[index] ?? '', this.#addresses[index] ?? 0n);
    }
    return this.#byName.get(name);
  }

  at(address: bigint, within = DEFAULT_REACH): SymbolPlace | undefined {
    const last = this.#lastUpTo(address);
    const found = this.#addresses[last];
    if (found === undefined || address - found >= BigInt(within)) return undefined;
    // Of several at one address the first is the name that the kernel prints.
    let first = last;
    while (first > 0 && this.#addresses[first - 1] === found) first -= 1;
    return {
      name: this.#names[first] ?? '',
      offset: Number(address - found),
      ...(this.#module !== undefined && { module: this.#module }),
    };
  }

  around(address: bigint, count: number): string[] {
    const middle = this.#lastUpTo(address);
    return Array.from({ length: count }, (_, distance) => [middle - distance, middle + 1 + distance])
      .flat()
      .flatMap((index) => this.#names[index] ?? []);
  }

  #lastUpTo(address: bigint): number {
    let [low, high] = [0, this.#addresses.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#addresses[middle] ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

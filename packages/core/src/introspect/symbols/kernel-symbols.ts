import { isImageAddress } from './kernel-image.js';
import type { KernelModule } from './modules.js';
import type { SymbolPlace, SymbolTable } from './symbol-table.js';

/** Symbols of the kernel and its modules. */
export class KernelSymbols {
  readonly #image: SymbolTable;
  readonly #modules: readonly KernelModule[];

  constructor(image: SymbolTable, modules: readonly KernelModule[]) {
    this.#image = image;
    this.#modules = modules;
  }

  get modules(): readonly KernelModule[] {
    return this.#modules;
  }

  /** The address of a symbol of the kernel itself. */
  address(name: string): bigint | undefined {
    return this.#image.address(name);
  }

  /** The module whose code or data holds an address. */
  moduleAt(address: bigint): KernelModule | undefined {
    return this.#modules.find(({ ranges }) =>
      ranges.some(({ start, size }) => address >= start && address < start + BigInt(size)),
    );
  }

  at(address: bigint): SymbolPlace | undefined {
    const module = this.moduleAt(address);
    if (module) return module.symbols.at(address);
    return isImageAddress(address) ? this.#image.at(address) : undefined;
  }

  /** Names of symbols around an address, from near to far. */
  around(address: bigint, count: number): string[] {
    return (this.moduleAt(address)?.symbols ?? this.#image).around(address, count);
  }
}

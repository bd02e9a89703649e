import type { KernelReader } from '../kernel-types.js';
import { SortedSymbols, type SymbolTable } from './symbol-table.js';

const MAX_MODULES = 1000;
const MAX_MODULE_SYMBOLS = 100_000;
const MAX_STRINGS = 16 * 2 ** 20;
/** elf(5): `Elf64_Sym` has 24 bytes: name, info, other, section, value, size. */
const ELF_SYMBOL = 24;

/** A module's place in memory, its symbols, and the tables that unwind its stacks. */
export interface KernelModule {
  readonly name: string;
  readonly ranges: readonly { readonly start: bigint; readonly size: number }[];
  /** Read when they are first asked for: most modules are on no stack. */
  readonly symbols: SymbolTable;
  readonly orc?: { readonly places: bigint; readonly entries: bigint; readonly count: number };
}

/** The modules that are loaded, by the list in `modules`. */
export function readModules(kernel: KernelReader, head: bigint): KernelModule[] {
  const { entries } = kernel.list(head, 'module', 'list', MAX_MODULES);
  return entries.map((module) => {
    const name = kernel.text(module, 'module', 'name', 56) ?? '?';
    const places = kernel.pointer(module, 'module', 'arch.orc_unwind_ip');
    const entries = kernel.pointer(module, 'module', 'arch.orc_unwind');
    const count = kernel.number(module, 'module', 'arch.num_orcs');
    let symbols: SymbolTable | undefined;
    return {
      name,
      ranges: rangesOf(kernel, module),
      get symbols() {
        symbols ??= symbolsOf(kernel, module, name);
        return symbols;
      },
      ...(places !== undefined && entries !== undefined && count !== undefined && { orc: { places, entries, count } }),
    };
  });
}

/** `core_layout` up to 6.3, `mem[]` since 6.4. */
function rangesOf(kernel: KernelReader, module: bigint): KernelModule['ranges'] {
  const memory = kernel.btf.member('module', 'mem');
  if (!memory) {
    const start = kernel.pointer(module, 'module', 'core_layout.base');
    const size = kernel.number(module, 'module', 'core_layout.size');
    return start === undefined || size === undefined ? [] : [{ start, size }];
  }
  const element = kernel.btf.size('module_memory') ?? 0;
  const count = element === 0 ? 0 : Math.min(16, Math.floor(kernel.btf.sizeOf(memory.type) / element));
  return Array.from({ length: count }, (_, index) => {
    const at = kernel.at(module, 'module', 'mem') + BigInt(index * element);
    return {
      start: kernel.pointer(at, 'module_memory', 'base') ?? 0n,
      size: kernel.number(at, 'module_memory', 'size') ?? 0,
    };
  }).filter(({ size }) => size > 0);
}

function symbolsOf(kernel: KernelReader, module: bigint, name: string): SymbolTable {
  const kallsyms = kernel.pointer(module, 'module', 'kallsyms') ?? 0n;
  const table = kernel.pointer(kallsyms, 'mod_kallsyms', 'symtab') ?? 0n;
  const strings = kernel.pointer(kallsyms, 'mod_kallsyms', 'strtab') ?? 0n;
  const count = Math.min(kernel.number(kallsyms, 'mod_kallsyms', 'num_symtab') ?? 0, MAX_MODULE_SYMBOLS);
  const bytes = kernel.memory.bytes(table, count * ELF_SYMBOL);
  const names: string[] = [];
  const addresses: bigint[] = [];
  for (let at = 0; bytes && at + ELF_SYMBOL <= bytes.length; at += ELF_SYMBOL) {
    const place = bytes.readUInt32LE(at);
    const value = bytes.readBigUInt64LE(at + 8);
    if (place === 0 || place > MAX_STRINGS || value === 0n) continue;
    const text = kernel.memory.text(strings + BigInt(place), 128);
    if (!text) continue;
    names.push(text);
    addresses.push(value);
  }
  return new SortedSymbols(BigUint64Array.from(addresses), names, name);
}

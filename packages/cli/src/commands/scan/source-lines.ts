import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { QmpilotError } from '@qmpilot/core';
import type { KernelLogFinding } from '@qmpilot/core/detect';
import { Addr2line, type SourceLine } from './addr2line.js';

/** objdump(1) of a kernel with all options set. */
const MAX_SYMBOLS_BYTES = 2 ** 28;
/** The kernel's sizes reach to the next symbol that kallsyms has: padding, and symbols that it leaves out, are in between. */
const PADDING = 64;
/** Of these the kernel's own table has none (scripts/mksysmap). */
const NOT_IN_KALLSYMS = /^(?:__pfx_|__cfi_|\.L|\$)/;

/** The line of an oops that names the instruction: x86, arm and RISC-V, powerpc. */
const PROGRAM_COUNTER =
  /\b(?:[RE]?IP|[ep]?pc|NIP)\b ?: ?(?:[0-9a-f]{4}:)?([\w.$]+\+0x[0-9a-f]+\/0x[0-9a-f]+)(?: \[([\w-]+)\])?/;

/** A frame as the kernel printed it, and its places from the innermost inlined function out; none where they are not known. */
export interface LocatedFrame {
  readonly raw: string;
  readonly source: readonly SourceLine[];
}

/** A line of `objdump --syms`: address, seven flags, section, size, perhaps the visibility, and the name. */
const SYMBOL = /^([0-9a-f]+) .{7} (\S+)\t[0-9a-f]+\s+(?:\.(?:hidden|internal|protected) )?(\S+)$/;

interface KernelSymbol {
  readonly address: bigint;
  readonly size: number;
}

/** An ELF file of the kernel: vmlinux, or a module. */
interface Image {
  readonly symbols: ReadonlyMap<string, readonly KernelSymbol[]>;
  readonly lines: Addr2line;
}

/** Finds files and lines of the frames in reports of a kernel, by the debug information of its build. */
export class SourceLines implements Disposable {
  readonly #vmlinux: string;
  readonly #images = new Map<string, Promise<Image | undefined>>();
  readonly #modules: ReadonlyMap<string, string>;
  /** Where the sources were when the kernel was built. */
  #base: string | undefined;
  /** The first frame of a function whose size is not that of the log. */
  #mismatch: string | undefined;
  #found = 0;

  private constructor(vmlinux: string) {
    this.#vmlinux = vmlinux;
    this.#modules = listModules(dirname(vmlinux));
  }

  /**
   * @param path vmlinux, or the tree that the kernel was built in
   * @throws {USAGE} when it has no debug information, or is not a vmlinux
   * @throws {TOOL_MISSING} without binutils
   */
  static async open(path: string): Promise<SourceLines> {
    const { findVmlinux } = await import('@qmpilot/core/vm');
    const vmlinux = await findVmlinux({ release: 'the log' }, { path });
    if (!vmlinux.debugInfo)
      throw new QmpilotError('USAGE', `${vmlinux.path} has no debug information`, {
        hint: 'build the kernel with CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT, or name the vmlinux of its -dbg package',
      });
    const source = new SourceLines(vmlinux.path);
    const image = await source.#image('');
    const start = image?.symbols.get('start_kernel')?.[0];
    const [first] = start ? ((await image?.lines.locate(start.address)) ?? []) : [];
    source.#base = first?.file.endsWith('init/main.c') ? first.file.slice(0, -'init/main.c'.length) : undefined;
    return source;
  }

  /** Returns the frames of a finding with their places: the instruction that failed first, where the report has one. */
  async locate({ stack = [], evidence }: KernelLogFinding): Promise<LocatedFrame[]> {
    const counter = evidence.map((line) => PROGRAM_COUNTER.exec(line)).find((match) => match !== null);
    const located: LocatedFrame[] = [];
    if (counter) {
      const [, raw = '', module] = counter;
      located.push({ raw, source: await this.#frame(raw, module, 0n) });
    }
    // Other frames hold the address that a call returns to, behind the line that called.
    for (const { raw, module, uncertain } of stack)
      if (uncertain !== true) located.push({ raw, source: await this.#frame(raw, module, 1n) });
    return located;
  }

  /** Why frames have no places, when the vmlinux does not seem to be of the log's kernel. */
  get problem(): string | undefined {
    return this.#found === 0 ? this.#mismatch : undefined;
  }

  [Symbol.dispose](): void {
    for (const image of this.#images.values())
      void image.then(
        (one) => one?.lines.close(),
        () => {},
      );
  }

  async #frame(raw: string, module = '', behind: bigint): Promise<readonly SourceLine[]> {
    const match = /([\w.$]+)\+0x([0-9a-f]+)\/0x([0-9a-f]+)/.exec(raw);
    if (!match) return [];
    const [, name = '', offset = '', size = ''] = match;
    const image = await this.#image(module);
    const known = image?.symbols.get(name);
    if (!image || !known) return [];
    // A damaged or forged line must not name code elsewhere.
    if (BigInt(`0x${offset}`) > BigInt(`0x${size}`)) return [];
    const symbol = known.find((one) => Math.abs(one.size - Number.parseInt(size, 16)) < PADDING);
    if (!symbol) {
      this.#mismatch ??= `${name} has 0x${size} bytes in the log, and 0x${known[0]?.size.toString(16)} there`;
      return [];
    }
    this.#found += 1;
    const places = await image.lines.locate(symbol.address + BigInt(`0x${offset}`) - behind);
    return places.map((place) => ({ ...place, file: this.#relative(place.file) }));
  }

  #relative(file: string): string {
    return this.#base !== undefined && file.startsWith(this.#base) ? file.slice(this.#base.length) : file;
  }

  #image(module: string): Promise<Image | undefined> {
    let image = this.#images.get(module);
    if (!image) {
      image = this.#load(module);
      this.#images.set(module, image);
    }
    return image;
  }

  async #load(module: string): Promise<Image | undefined> {
    const isKernel = module === '';
    const path = isKernel ? this.#vmlinux : this.#modules.get(moduleName(module));
    if (path === undefined || !existsSync(path)) return undefined;
    // A module's sections all begin at 0; those of its initialization are gone when it runs.
    return {
      symbols: await readSymbols(path, isKernel ? /text/ : /^\.text$/),
      lines: new Addr2line(path, isKernel ? undefined : '.text'),
    };
  }
}

/** Returns the modules of a tree where a kernel was built, by name; none where the file that lists them is missing. */
function listModules(tree: string): Map<string, string> {
  const order = join(tree, 'modules.order');
  const modules = new Map<string, string>();
  if (!existsSync(order)) return modules;
  for (const line of readFileSync(order, 'utf8').split('\n')) {
    // Linux before 6.3 lists the path where a module is installed, later ones its object.
    const path = line.replace(/^kernel\//, '').replace(/\.o$/, '.ko');
    if (path !== '') modules.set(moduleName(basename(path, '.ko')), join(tree, path));
  }
  return modules;
}

/** The kernel prints `_` where the file has `-`. */
function moduleName(name: string): string {
  return name.replaceAll('-', '_');
}

/** Reads the functions in sections whose name matches, and their sizes as the kernel counts them: up to the next symbol. */
async function readSymbols(path: string, sections: RegExp): Promise<Map<string, KernelSymbol[]>> {
  let text: string;
  try {
    const run = promisify(execFile);
    ({ stdout: text } = await run('objdump', ['--syms', path], { maxBuffer: MAX_SYMBOLS_BYTES }));
  } catch (cause) {
    throw new QmpilotError('TOOL_MISSING', `cannot read the symbols of ${path} by objdump`, {
      cause,
      hint: 'on Debian: apt-get install binutils',
    });
  }
  const list = text
    .split('\n')
    .flatMap((line) => {
      const [, address = '', section = '', name = ''] = SYMBOL.exec(line) ?? [];
      const isFunction = sections.test(section) && name !== section && !NOT_IN_KALLSYMS.test(name);
      return isFunction ? [{ address: BigInt(`0x${address}`), name }] : [];
    })
    .sort((one, other) => (one.address < other.address ? -1 : one.address > other.address ? 1 : 0));
  const symbols = new Map<string, KernelSymbol[]>();
  let next: bigint | undefined;
  for (let index = list.length - 1; index >= 0; index -= 1) {
    const one = list[index];
    if (!one) continue;
    const behind = list[index + 1]?.address;
    if (behind !== one.address) next = behind;
    const size = Number((next ?? one.address) - one.address);
    symbols.set(one.name, [{ address: one.address, size }, ...(symbols.get(one.name) ?? [])]);
  }
  return symbols;
}

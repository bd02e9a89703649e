import type { KernelReader } from '../kernel-types.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import type { KernelTask } from '../tasks/tasks.js';
import type { OrcEntry, OrcTables } from './orc.js';

/** One frame of a kernel stack, read from memory. */
export interface KernelFrame {
  /** Of the instruction that the call returns to. */
  readonly address: bigint;
  readonly function: string;
  readonly offset: number;
  readonly module?: string;
  /** It was found on the stack without unwind tables: it may be left over from an earlier call. */
  readonly uncertain?: boolean;
}

export interface KernelStack {
  /** Innermost first. */
  readonly frames: readonly KernelFrame[];
  /** The part of the stack in use: the stack pointer, and the end of the stack. */
  readonly from: bigint;
  readonly to: bigint;
  /** False when unwinding ended before the outermost frame; what follows it is marked uncertain. */
  readonly complete: boolean;
}

interface Position {
  readonly ip: bigint;
  readonly sp: bigint;
  readonly bp: bigint;
  /** `ip` is the instruction itself, not the one behind a call. */
  readonly exact: boolean;
}

const MAX_FRAMES = 128;
const MAX_GUESSES = 32;
/** arch/x86/include/asm/page_64_types.h: four pages, eight with KASAN. */
const DEFAULT_STACK = 16_384;
const MAX_STACK = 65_536;
/** arch/x86/include/asm/orc_types.h */
const REGISTER = { previousSp: 1, bp: 4, sp: 5, bpIndirect: 8, spIndirect: 9 } as const;

/** Unwinds kernel stacks from memory. */
export class Unwinder {
  readonly #kernel: KernelReader;
  readonly #symbols: KernelSymbols;
  readonly #orc: OrcTables;
  readonly #stackSize: bigint;
  readonly #text: readonly [bigint, bigint];

  constructor(kernel: KernelReader, symbols: KernelSymbols, orc: OrcTables) {
    this.#kernel = kernel;
    this.#symbols = symbols;
    this.#orc = orc;
    this.#stackSize = BigInt(Math.min(kernel.btf.size('thread_union') ?? DEFAULT_STACK, MAX_STACK));
    this.#text = [symbols.address('_stext') ?? 0n, symbols.address('_etext') ?? 0n];
  }

  get stackSize(): bigint {
    return this.#stackSize;
  }

  /** The stack of a task that does not run: `__switch_to_asm` left a `struct inactive_task_frame` at its stack pointer. */
  ofTask(task: KernelTask): KernelStack {
    const { sp } = task;
    const to = task.stack + this.#stackSize;
    const size = this.#kernel.btf.size('inactive_task_frame') ?? 0;
    const ip = this.#kernel.pointer(sp, 'inactive_task_frame', 'ret_addr');
    const bp = this.#kernel.pointer(sp, 'inactive_task_frame', 'bp');
    if (sp < task.stack || sp >= to || ip === undefined || bp === undefined)
      return { frames: [], from: to, to, complete: false };
    return this.#unwind({ ip, bp, sp: sp + BigInt(size), exact: true }, sp, to);
  }

  /** The stack of what a CPU executes in the kernel. */
  ofCpu(
    { rip, rsp, rbp }: { readonly rip: bigint; readonly rsp: bigint; readonly rbp: bigint },
    task: KernelTask,
  ): KernelStack {
    const within = rsp >= task.stack && rsp < task.stack + this.#stackSize;
    // An interrupt's stack is four pages too.
    const to = within ? task.stack + this.#stackSize : (rsp | (this.#stackSize - 1n)) + 1n;
    return this.#unwind({ ip: rip, sp: rsp, bp: rbp, exact: true }, rsp, to);
  }

  #unwind(start: Position, from: bigint, to: bigint): KernelStack {
    const frames: KernelFrame[] = [];
    let complete = false;
    let last = start;
    for (let at: Position | undefined = start; at && frames.length < MAX_FRAMES;) {
      const frame = this.#frame(at);
      if (!frame) break;
      last = at;
      frames.push(frame);
      const orc = this.#orc.find(at.exact ? at.ip : at.ip - 1n);
      if (orc?.type === 'end') {
        complete = true;
        break;
      }
      const next: Position | 'end' | undefined = orc && this.#caller(at, orc);
      if (next === 'end') {
        complete = true;
        break;
      }
      // Each frame is further out than the one before.
      at = next && next.sp > at.sp && next.sp <= to ? next : undefined;
    }
    if (!complete) frames.push(...this.#guess(last.sp, to));
    return { frames, from, to, complete };
  }

  #frame({ ip, exact }: Position): KernelFrame | undefined {
    const place = this.#symbols.at(exact ? ip : ip - 1n);
    if (!place || place.name === '') return undefined;
    const { name, offset, module } = place;
    return {
      address: ip,
      function: name,
      offset: offset + (exact ? 0 : 1),
      ...(module !== undefined && { module }),
    };
  }

  #caller(at: Position, orc: OrcEntry): Position | 'end' | undefined {
    const sp = this.#previousSp(at, orc);
    if (sp === undefined) return undefined;
    if (orc.type === 'registers' || orc.type === 'partial-registers') {
      const iret = sp - (orc.type === 'registers' ? 0n : this.#kernel.offset('pt_regs', 'ip'));
      const [ip, cs, own, bp] = ['ip', 'cs', 'sp', 'bp'].map((name) => this.#kernel.pointer(iret, 'pt_regs', name));
      if (ip === undefined || cs === undefined || own === undefined) return undefined;
      if ((cs & 3n) === 3n) return 'end';
      return { ip, sp: own, bp: (orc.type === 'registers' ? bp : undefined) ?? at.bp, exact: true };
    }
    if (orc.type !== 'call') return undefined;
    const ip = this.#kernel.memory.u64(sp - 8n);
    const bp = this.#previousBp(at, orc, sp);
    return ip === undefined || bp === undefined ? undefined : { ip, sp, bp, exact: false };
  }

  #previousSp({ sp, bp }: Position, { spRegister, spOffset }: OrcEntry): bigint | undefined {
    const offset = BigInt(spOffset);
    switch (spRegister) {
      case REGISTER.sp:
        return sp + offset;
      case REGISTER.bp:
        return bp + offset;
      case REGISTER.bpIndirect:
        return this.#kernel.memory.u64(bp + offset);
      case REGISTER.spIndirect: {
        const indirect = this.#kernel.memory.u64(sp);
        return indirect === undefined ? undefined : indirect + offset;
      }
      default:
        return undefined;
    }
  }

  #previousBp({ bp }: Position, { bpRegister, bpOffset }: OrcEntry, sp: bigint): bigint | undefined {
    if (bpRegister === REGISTER.previousSp) return this.#kernel.memory.u64(sp + BigInt(bpOffset));
    return bpRegister === REGISTER.bp ? this.#kernel.memory.u64(bp + BigInt(bpOffset)) : bp;
  }

  #guess(from: bigint, to: bigint): KernelFrame[] {
    const frames: KernelFrame[] = [];
    for (let at = (from + 7n) & ~7n; at < to && frames.length < MAX_GUESSES; at += 8n) {
      const ip = this.#kernel.memory.u64(at);
      if (ip === undefined || !this.#isText(ip)) continue;
      const frame = this.#frame({ ip, sp: at, bp: 0n, exact: false });
      if (frame) frames.push({ ...frame, uncertain: true });
    }
    return frames;
  }

  #isText(address: bigint): boolean {
    const [from, to] = this.#text;
    return (address >= from && address < to) || this.#symbols.moduleAt(address) !== undefined;
  }
}

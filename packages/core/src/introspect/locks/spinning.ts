import type { CpuRegisters } from '../cpu/registers.js';
import type { KernelReader } from '../kernel-types.js';
import type { KernelStack } from '../stacks/unwind.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import type { FoundWait } from './lock-wait.js';

/** The functions in which a CPU spins: kernel/locking/qspinlock.c and qrwlock.c. */
const SLOW_PATH = /^(?:(?:native_|__pv_)?queued_spin_lock_slowpath|queued_(?:read|write)_lock_slowpath)(?:\.|$)/;
/** The calling convention's first argument, then registers that a callee keeps. */
const CANDIDATES = ['rdi', 'rbx', 'rbp', 'r12', 'r13', 'r14', 'r15'] as const;

/** Whether the innermost frames of a CPU are those of a spinlock that is taken. */
export function isSpinning({ frames }: KernelStack): boolean {
  return frames.slice(0, 2).some((frame) => frame.uncertain !== true && isSpinFunction(frame.function));
}

export function isSpinFunction(name: string): boolean {
  return SLOW_PATH.test(name);
}

/**
 * The spinlock that a CPU waits for: the address in one of its registers whose word is that of a lock which is taken. A spinlock
 * does not record who holds it.
 */
export function findSpinlock(
  kernel: KernelReader,
  symbols: KernelSymbols,
  { general }: CpuRegisters,
  stack: KernelStack,
): FoundWait | undefined {
  const pointers = CANDIDATES.flatMap((name) => general[name] ?? []).filter((value) =>
    isTaken(kernel, symbols, value, stack),
  );
  const [address] = pointers;
  return address === undefined
    ? undefined
    : { kind: 'spinlock', struct: 'spinlock', address, recorded: 'none', owners: [] };
}

/** `struct qspinlock`: byte 0 is 1 while it is held, byte 1 is 0 or 1. */
function isTaken(kernel: KernelReader, symbols: KernelSymbols, address: bigint, { from, to }: KernelStack): boolean {
  if ((address & 3n) !== 0n || (address >= from && address < to)) return false;
  const value = kernel.memory.u32(address);
  if (value === undefined || (value & 0xff) !== 1 || (value & 0xff00) > 0x100) return false;
  const place = symbols.at(address);
  return place === undefined || !place.name.startsWith('__per_cpu');
}

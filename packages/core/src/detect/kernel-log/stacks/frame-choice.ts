import type { StackFrame } from '../../finding.js';
import { isBottom, isSkipped } from './skip-sets.js';
import type { SkipSet } from './skip-sets.js';

/** The innermost frame that means something, if any. */
export function chooseFunction(frames: readonly StackFrame[], skip: readonly SkipSet[]): string | undefined {
  const chosen = frames.find(
    (frame) => isCertain(frame) && !isBottom(frame.function) && !isSkipped(frame.function, skip),
  );
  return chosen === undefined ? undefined : syscallName(chosen.function);
}

/**
 * The wrappers that each architecture puts around a system call are one function to a reader, and so to a
 * signature. What a `SYSCALL_DEFINE` holds since 4.17 keeps its name, `__do_sys_NAME`: it is not a wrapper.
 */
export function syscallName(name: string): string {
  return name
    .replace(/^(?:compat_)?(?:SyS|SYSC)_(?=\w)/, '')
    .replace(/^__(?:x64|ia32|arm64|riscv|s390x?|powerpc|se)_(?=(?:compat_)?sys_)/, '');
}

/** Printed as a frame of the stack beyond doubt, in any log of the same failure. */
export function isCertain({ uncertain, inline }: StackFrame): boolean {
  return uncertain !== true && inline !== true;
}

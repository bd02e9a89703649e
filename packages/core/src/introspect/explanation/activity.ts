import type { StackFrame } from '../../detect/finding.js';
import { COMMON_SKIP } from '../../detect/kernel-log/rules/rule.js';
import { chooseFunction } from '../../detect/kernel-log/stacks/frame-choice.js';
import { functionName } from '../../detect/kernel-log/stacks/frames.js';
import type { KernelFrame } from '../stacks/unwind.js';

/** The wrapper of a system call: arch/x86/include/asm/syscall_wrapper.h. */
const SYSCALL = /^__(?:x64|ia32)_(?:compat_)?sys_(\w+)$/;

/** Characters of all stacks of one explanation. */
const MAX_CHARACTERS = 8 * 2 ** 20;

/** The stacks of an explanation, as far as there is room for them. */
export class StackTexts {
  #left = MAX_CHARACTERS;

  /** Whether there was room for all. */
  get complete(): boolean {
    return this.#left >= 0;
  }

  /** These frames, or none when there is no room. */
  keep(frames: readonly StackFrame[]): readonly StackFrame[] {
    for (const { raw } of frames) this.#left -= raw.length;
    return this.complete ? frames : [];
  }
}

/** Frames in the form in which the kernel prints them. */
export function toStackFrames(frames: readonly KernelFrame[]): StackFrame[] {
  return frames.map(({ function: name, offset, module, uncertain }) => ({
    function: functionName(name),
    ...(uncertain && { uncertain }),
    ...(module !== undefined && { module }),
    raw: `${name}+0x${offset.toString(16)}${module === undefined ? '' : ` [${module}]`}`,
  }));
}

/** The system call of a stack, and the function that tells most. */
export function placeOf(stack: readonly StackFrame[]): { readonly syscall?: string; readonly function?: string } {
  const syscall = stack.flatMap((frame) => SYSCALL.exec(frame.function)?.[1] ?? [])[0];
  const name = chooseFunction(stack, [...COMMON_SKIP, 'hang']) ?? chooseFunction(stack, COMMON_SKIP);
  return { ...(syscall !== undefined && { syscall }), ...(name !== undefined && { function: name }) };
}

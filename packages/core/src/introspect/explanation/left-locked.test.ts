import { expect, it } from 'vitest';
import type { KernelReader } from '../kernel-types.js';
import type { KernelFrame } from '../stacks/unwind.js';
import type { CapturedTask } from './capture.js';
import { leftLocked } from './left-locked.js';
import { explainInSentences } from './sentences.js';

const task = { kernelThread: false, state: 'running', cpu: 1 };
const left = (...functions: string[]) => {
  const frames = functions.map((name) => ({ function: name }) as KernelFrame);
  const owner = { task, stack: { frames, from: 0n, to: 0n, complete: true } } as unknown as CapturedTask;
  return leftLocked({} as KernelReader, owner, 0n, {});
};

it('is certain of a task on its way to user space, but not of work that it does there', () => {
  expect(left('sysvec_apic_timer_interrupt', 'asm_sysvec_apic_timer_interrupt')).toBeUndefined();
  expect(left('schedule', 'exit_to_user_mode_loop', 'irqentry_exit_to_user_mode')).toBe('certain');
  expect(left('tctx_task_work', 'task_work_run', 'exit_to_user_mode_loop', 'do_syscall_64')).toBeUndefined();
});

it('is told of a task that runs on a CPU, and of one that waits for a CPU', () => {
  const sentence = (cpu?: number) =>
    explainInSentences(
      [
        {
          task: { comm: 'waiter', pid: 7 },
          state: 'blocked',
          stack: [],
          waitsFor: {
            kind: 'mutex',
            address: 'ffff888000700000',
            recorded: 'owner',
            owners: [
              {
                task: { comm: 'holder', pid: 8 },
                address: 'ffff888000800000',
                state: 'running',
                ...(cpu !== undefined && { cpu }),
                function: 'exit_to_user_mode_loop',
                stack: [],
                leftLocked: 'certain',
              },
            ],
          },
        },
      ],
      [],
      9,
    )[0];
  expect(sentence(1)).toMatch(/and runs on CPU 1 on its way to user space: it left the kernel with the lock held\.$/);
  expect(sentence()).toMatch(/and waits for a CPU on its way to user space: it left the kernel with the lock held\.$/);
});

import type { CpuRegisters } from '../cpu/registers.js';
import type { KernelReader } from '../kernel-types.js';
import { findWait } from '../locks/find-wait.js';
import type { FoundWait } from '../locks/lock-wait.js';
import { findSpinlock, isSpinning } from '../locks/spinning.js';
import { StackIndex } from '../locks/stack-index.js';
import { OrcTables } from '../stacks/orc.js';
import { Unwinder, type KernelStack } from '../stacks/unwind.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import { readSchedulerClock } from '../tasks/clock.js';
import { readTasks, type KernelTask } from '../tasks/tasks.js';

/** A task, its stack, and what it waits for. */
export interface CapturedTask {
  readonly task: KernelTask;
  readonly stack: KernelStack;
  readonly wait?: FoundWait;
  readonly spinning?: boolean;
  readonly waitedMs?: number;
  /** It runs its program. */
  readonly userSpace?: boolean;
}

/** All that has to be of one moment: it is read while the guest is paused. */
export interface Capture {
  readonly tasks: ReadonlyMap<bigint, KernelTask>;
  readonly waiting: readonly CapturedTask[];
  /** Those that hold what others wait for, by address. */
  readonly owners: ReadonlyMap<bigint, CapturedTask>;
  readonly complete: boolean;
  /** Stacks are read by unwind tables. */
  readonly unwound: boolean;
}

/** The registers of all CPUs, now and a moment before. */
export interface CpuSamples {
  readonly cpus: readonly CpuRegisters[];
  readonly before?: readonly CpuRegisters[] | undefined;
}

/** Tasks whose stacks are read; in a guest where more are blocked, those beyond are like those before. */
const MAX_WAITING = 2000;

/** Reads which tasks are blocked, what each waits for, and who holds it. */
export function capture(
  kernel: KernelReader,
  symbols: KernelSymbols,
  registers: CpuSamples,
  initTask: bigint,
): Capture {
  const { tasks, complete } = readTasks(kernel, initTask);
  const clock = readSchedulerClock(kernel, symbols, tasks, registers.cpus.length);
  const orc = new OrcTables(kernel, symbols);
  const reader = new TaskReader(kernel, symbols, registers, new Unwinder(kernel, symbols, orc), tasks, clock);
  const candidates = tasks.filter(({ state, cpu }) => cpu !== undefined || state === 'blocked');
  const captured = candidates.slice(0, MAX_WAITING).map((task) => reader.read(task));
  const waiting = captured.filter(
    ({ task, spinning }) => spinning === true || (task.cpu === undefined && task.state === 'blocked'),
  );
  const byAddress = new Map(tasks.map((task) => [task.address, task]));
  const known = new Map(captured.map((one) => [one.task.address, one]));
  const owners = new Map<bigint, CapturedTask>();
  const further: CapturedTask[] = [];
  for (const queue = [...waiting]; queue.length > 0;) {
    const next = queue.pop();
    for (const address of next?.wait?.owners ?? []) {
      const task = byAddress.get(address);
      if (!task || owners.has(address)) continue;
      const owner = known.get(address) ?? reader.read(task);
      owners.set(address, owner);
      // A wait for a lock that a signal can end is no blocked task, and yet part of the chain.
      if (waiting.includes(owner) || owner.wait === undefined || owner.wait.recorded === 'none') continue;
      further.push(owner);
      queue.push(owner);
    }
  }
  return {
    tasks: byAddress,
    waiting: [...waiting, ...further],
    owners,
    complete: complete && candidates.length <= MAX_WAITING,
    unwound: orc.present,
  };
}

class TaskReader {
  readonly #kernel: KernelReader;
  readonly #symbols: KernelSymbols;
  readonly #registers: CpuSamples;
  readonly #unwinder: Unwinder;
  readonly #stacks: StackIndex;
  readonly #clock: bigint;

  constructor(
    kernel: KernelReader,
    symbols: KernelSymbols,
    registers: CpuSamples,
    unwinder: Unwinder,
    tasks: readonly KernelTask[],
    clock: bigint,
  ) {
    this.#kernel = kernel;
    this.#symbols = symbols;
    this.#registers = registers;
    this.#unwinder = unwinder;
    this.#stacks = new StackIndex(tasks, unwinder.stackSize);
    this.#clock = clock;
  }

  read(task: KernelTask): CapturedTask {
    const running = task.cpu === undefined ? undefined : this.#registers.cpus.find(({ index }) => index === task.cpu);
    if (running) return this.#running(task, running);
    const stack = this.#unwinder.ofTask(task);
    const wait =
      task.state === 'dead' ? undefined : findWait(this.#kernel, this.#symbols, { task, stack }, this.#stacks);
    const waited = task.lastRan === undefined || task.lastRan > this.#clock ? undefined : this.#clock - task.lastRan;
    return {
      task,
      stack,
      ...(wait && { wait }),
      ...(waited !== undefined && { waitedMs: Math.round(Number(waited) / 1e6) }),
    };
  }

  #running(task: KernelTask, cpu: CpuRegisters): CapturedTask {
    if (cpu.cpl === 3) {
      const end = task.stack + this.#unwinder.stackSize;
      return { task, stack: { frames: [], from: end, to: end, complete: true }, userSpace: true };
    }
    const stack = this.#unwinder.ofCpu(cpu, task);
    const { before } = this.#registers;
    // The same wait has the stack pointer where it was.
    const stays = before === undefined || before.some(({ index, rsp }) => index === cpu.index && rsp === cpu.rsp);
    if (!stays || !isSpinning(stack)) return { task, stack };
    const wait = findSpinlock(this.#kernel, this.#symbols, cpu, stack);
    return { task, stack, spinning: true, ...(wait && { wait }) };
  }
}

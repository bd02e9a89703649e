import type { TaskRef } from '../../detect/finding.js';
import { QmpilotError } from '../../errors.js';
import type { CpuRegisters } from '../cpu/registers.js';
import type { KernelReader } from '../kernel-types.js';
import { openKernel, type KernelIdentity } from '../kernel.js';
import { isSpinFunction } from '../locks/spinning.js';
import type { PhysicalMemory } from '../memory/physical-memory.js';
import { nameWait, type WaitName } from '../names/name-wait.js';
import { KernelSymbols } from '../symbols/kernel-symbols.js';
import { readModules } from '../symbols/modules.js';
import type { KernelTask } from '../tasks/tasks.js';
import { placeOf, StackTexts, toStackFrames } from './activity.js';
import { capture, type Capture, type CapturedTask } from './capture.js';
import { findCycles } from './cycles.js';
import type { Explanation, LockOwner, LockWait, StuckTask } from './explanation.js';
import { leftLocked } from './left-locked.js';
import { explainInSentences } from './sentences.js';

/** A guest's memory and CPUs at one moment. */
export interface GuestMoment {
  readonly memory: PhysicalMemory;
  readonly cpus: readonly CpuRegisters[];
  /** The registers of a moment before: a CPU spins that has been in the same wait for a spinlock since. */
  readonly before?: readonly CpuRegisters[];
}

export interface ExplainLimits {
  /** A task that has been blocked for less is not stuck, unless it is part of a deadlock. */
  readonly minWaitMs: number;
}

/** A capture with what is needed to describe it, after the guest runs on. */
export interface CapturedGuest {
  readonly kernel: KernelReader;
  readonly symbols: KernelSymbols;
  readonly capture: Capture;
  readonly identity: KernelIdentity;
}

/**
 * Reads what has to be of one moment: the tasks, the stacks of those that wait, the locks and their owners.
 * @throws {USAGE} when the kernel has no symbols of data, or is no longer there
 */
export function captureGuest({ memory, cpus, before }: GuestMoment, identity: KernelIdentity): CapturedGuest {
  const initTask = identity.symbols.address('init_task');
  if (initTask === undefined) {
    throw new QmpilotError('USAGE', "cannot find the kernel's tasks in the guest's memory", {
      hint: 'the kernel needs CONFIG_KALLSYMS_ALL',
    });
  }
  const kernel = openKernel(memory, cpus, identity);
  if (!kernel) {
    throw new QmpilotError('USAGE', "cannot find the kernel in the guest's memory: it is no longer where it was", {
      hint: 'call it again when the guest has rebooted',
    });
  }
  const modules = identity.symbols.address('modules');
  const symbols = new KernelSymbols(identity.symbols, modules === undefined ? [] : readModules(kernel, modules));
  return { kernel, symbols, identity, capture: capture(kernel, symbols, { cpus, before }, initTask) };
}

/** Whether a CPU waits for a spinlock at this moment. */
export function spinningNow({ symbols }: KernelIdentity, cpus: readonly CpuRegisters[]): boolean {
  return cpus.some(({ rip, cpl }) => cpl === 0 && isSpinFunction(symbols.at(rip)?.name ?? ''));
}

/** Describes what a capture holds: names locks and owners, finds cycles, and puts it into words. */
export function describeCapture(guest: CapturedGuest, { minWaitMs }: ExplainLimits): Explanation {
  const { capture: captured, identity } = guest;
  // A hint is no proof: the last reader may have released the lock.
  const edges = new Map(
    captured.waiting.map(({ task, wait }) => [task.address, wait?.recorded === 'owner' ? wait.owners : []]),
  );
  const cycles = findCycles(edges, (address) => captured.tasks.get(address)?.tid ?? 0);
  const deadlocked = new Set(cycles.flat());
  const chosen = captured.waiting.filter(
    ({ task, waitedMs, spinning }) =>
      spinning === true || deadlocked.has(task.address) || waitedMs === undefined || waitedMs >= minWaitMs,
  );
  const known: Known = { names: new Map(), stacks: new StackTexts() };
  const stuck = chosen.map((one) => describeStuck(guest, one, chosen, known));
  const refs = cycles.map((cycle) =>
    cycle.flatMap((address) => {
      const task = captured.tasks.get(address);
      return task ? [refOf(task)] : [];
    }),
  );
  return {
    kernel: /^Linux version (\S{1,100})/.exec(identity.banner)?.[1] ?? '',
    tasks: captured.tasks.size,
    stuck,
    cycles: refs,
    sentences: explainInSentences(stuck, refs, captured.tasks.size),
    notes: [
      ...(captured.complete ? [] : ['the lists of tasks are damaged, or too long: some tasks are missing']),
      ...(captured.unwound
        ? []
        : ['the kernel has no unwind tables (CONFIG_UNWINDER_ORC): frames of stacks are guesses']),
      ...(known.stacks.complete ? [] : ['the stacks are too long to keep them all: some are missing']),
    ],
  };
}

/** What the descriptions of all tasks share. */
interface Known {
  readonly names: Map<bigint, WaitName>;
  readonly stacks: StackTexts;
}

function describeStuck(
  guest: CapturedGuest,
  { task, stack, wait, waitedMs, spinning }: CapturedTask,
  all: readonly CapturedTask[],
  { names, stacks }: Known,
): StuckTask {
  const frames = toStackFrames(stack.frames);
  const place = placeOf(frames).function;
  let waitsFor: LockWait | undefined;
  if (wait) {
    let known = names.get(wait.address);
    if (!known) {
      const concerned = all.filter((one) => one.wait?.address === wait.address).map((one) => one.task.address);
      known = nameWait(guest.kernel, guest.symbols, wait, [...concerned, ...wait.owners].slice(0, 8), stack.frames);
      names.set(wait.address, known);
    }
    const found = known;
    waitsFor = {
      kind: wait.kind,
      address: hex(wait.address),
      ...(found.name !== undefined && { name: found.name }),
      ...(wait.access && { access: wait.access }),
      ...(wait.readers !== undefined && { readers: wait.readers }),
      recorded: wait.recorded,
      owners: wait.owners.map((owner) => describeOwner(guest, owner, wait.address, found, stacks)),
    };
  }
  return {
    task: refOf(task),
    state: spinning ? 'spinning' : task.state === 'blocked' ? 'blocked' : 'sleeping',
    ...(waitedMs !== undefined && { waitedMs }),
    ...(task.cpu !== undefined && { cpu: task.cpu }),
    ...(place !== undefined && { function: place }),
    stack: stacks.keep(frames),
    ...(waitsFor && { waitsFor }),
  };
}

function describeOwner(
  guest: CapturedGuest,
  address: bigint,
  lock: bigint,
  lockName: WaitName,
  stacks: StackTexts,
): LockOwner {
  const owner = guest.capture.owners.get(address);
  if (!owner) return { address: hex(address), state: 'gone', stack: [] };
  const { task, stack, userSpace } = owner;
  const frames = toStackFrames(stack.frames);
  const left = leftLocked(guest.kernel, owner, lock, lockName);
  return {
    task: refOf(task),
    address: hex(address),
    state: task.state,
    ...(task.cpu !== undefined && { cpu: task.cpu }),
    ...(userSpace && { userSpace }),
    ...placeOf(frames),
    stack: stacks.keep(frames),
    ...(left && { leftLocked: left }),
  };
}

function refOf({ comm, tid, pid }: KernelTask): TaskRef {
  return { comm, pid: tid, ...(pid !== tid && { tgid: pid }) };
}

function hex(address: bigint): string {
  return BigInt.asUintN(64, address).toString(16).padStart(16, '0');
}

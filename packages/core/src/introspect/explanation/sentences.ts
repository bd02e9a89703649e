import type { TaskRef } from '../../detect/finding.js';
import { formatDuration } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import type { LockKind } from '../locks/lock-wait.js';
import type { LockOwner, LockWait, StuckTask } from './explanation.js';

/** Names of waiters in one sentence. */
const MAX_NAMES = 4;
/** Tasks of a deadlock in one sentence. */
const MAX_CYCLE = 8;

const KINDS: Readonly<Record<LockKind, string>> = {
  'mutex': 'the mutex',
  'rw-semaphore': 'the rw-semaphore',
  'percpu-rw-semaphore': 'the per-CPU rw-semaphore',
  'semaphore': 'the semaphore',
  'rt-mutex': 'the rt-mutex',
  'spinlock': 'the spinlock',
  'completion': 'the completion',
  'page': 'the page',
  'bit': 'a bit of the word',
  'variable': 'a change of the variable',
  'wait-queue': 'a wake-up on the wait queue',
};

const UNRECORDED: Readonly<Record<LockKind, string>> = {
  'mutex': 'nobody holds it at this moment',
  'rw-semaphore': 'it does not record its readers',
  'percpu-rw-semaphore': 'such a lock does not record who holds it',
  'semaphore': 'a semaphore does not record who holds it',
  'rt-mutex': 'nobody holds it at this moment',
  'spinlock': 'a spinlock does not record who holds it',
  'completion': 'the kernel does not record who is to complete it',
  'page': 'the kernel does not record who locked it',
  'bit': 'the kernel does not record who is to clear it',
  'variable': 'the kernel does not record who is to change it',
  'wait-queue': 'the kernel does not record who is to wake it',
};

/** Describes the stuck tasks and what they wait for, as text for people. */
export function explainInSentences(
  stuck: readonly StuckTask[],
  cycles: readonly (readonly TaskRef[])[],
  tasks: number,
): string[] {
  if (stuck.length === 0) return [`No task is stuck: ${tasks} tasks were examined.`];
  const groups = new Map<string, StuckTask[]>();
  for (const one of stuck) {
    const key = one.waitsFor ? `${one.waitsFor.kind} ${one.waitsFor.address}` : `function ${one.function ?? ''}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...cycles.map(describeCycle), ...[...groups.values()].map(describeGroup)];
}

function describeCycle(cycle: readonly TaskRef[]): string {
  const names = cycle.map(name);
  const [only] = names;
  if (names.length === 1) return `Deadlock: ${only} waits for a lock that it holds itself.`;
  if (names.length === 2) return `Deadlock: ${names.join(' and ')} wait for each other.`;
  const pairs = names.map((one, index) => `${one} waits for ${names[(index + 1) % names.length]}`);
  const more = pairs.length > MAX_CYCLE ? `, and so on: ${pairs.length} tasks` : '';
  return `Deadlock: ${pairs.slice(0, MAX_CYCLE).join(', ')}${more}.`;
}

function describeGroup(group: readonly StuckTask[]): string {
  const [first] = group;
  if (!first) return '';
  const { waitsFor } = first;
  const who = listed(group.map(({ task }) => name(task)));
  const plural = group.length > 1;
  if (!waitsFor) {
    const where = first.function === undefined ? 'in the kernel' : `in ${safeLine(first.function)}`;
    const does = first.state === 'spinning' ? (plural ? 'spin' : 'spins') : plural ? 'are blocked' : 'is blocked';
    return `${who} ${does} ${where}${since(group)}; what for cannot be told from the stack.`;
  }
  const spins = first.state === 'spinning' && first.cpu !== undefined ? ` on CPU ${first.cpu}` : '';
  const verb = spins === '' ? (plural ? 'wait for' : 'waits for') : `${plural ? 'spin' : 'spins'}${spins} for`;
  return `${who} ${verb} ${describeLock(waitsFor)}${accessOf(group)}${since(group)}; ${describeOwners(waitsFor)}.`;
}

function describeLock({ kind, address, name: known }: LockWait): string {
  return `${KINDS[kind]} at ${address}${known === undefined ? '' : ` (${safeLine(known)})`}`;
}

function accessOf(group: readonly StuckTask[]): string {
  const ways = new Set(group.map(({ waitsFor }) => waitsFor?.access));
  if (ways.size !== 1) return '';
  return ways.has('write') ? ', to write' : ways.has('read') ? ', to read' : '';
}

function since(group: readonly StuckTask[]): string {
  const longest = Math.max(0, ...group.map(({ waitedMs }) => waitedMs ?? 0));
  return longest < 1000 ? '' : `, for ${formatDuration(longest)}${group.length > 1 ? ' and less' : ''}`;
}

function describeOwners({ kind, owners, recorded, readers }: LockWait): string {
  const [owner] = owners;
  if (!owner) return recorded === 'owner' ? 'nobody holds it at this moment' : UNRECORDED[kind];
  const holder = describeOwner(owner);
  if (recorded === 'owner') return `${owner.task ? name(owner.task) : 'a task'} holds it, ${holder}`;
  const last = `the last to take it was ${owner.task ? name(owner.task) : 'a task'}, ${holder.replace(/^and /, 'which ')}`;
  if (readers === undefined) return last;
  return `${readers} ${readers === 1 ? 'reader holds' : 'readers hold'} it, and ${last}`;
}

function describeOwner(owner: LockOwner): string {
  const { state, cpu, userSpace, syscall, function: place } = owner;
  const where = syscall ?? (place === undefined ? undefined : safeLine(place));
  const within = where === undefined ? '' : ` in ${where}`;
  if (state === 'gone') return 'and that task no longer exists';
  if (state === 'dead') return 'and has exited';
  if (userSpace) return `and runs in user space on CPU ${cpu}: it left the kernel with the lock held`;
  const returning =
    owner.leftLocked === 'certain' ? ' on its way to user space: it left the kernel with the lock held' : '';
  if (cpu !== undefined) return `and runs on CPU ${cpu}${returning || within}`;
  const left =
    owner.leftLocked === undefined
      ? ''
      : '; nothing on its kernel stack refers to the lock, so that it seems to have left it locked';
  switch (state) {
    case 'blocked':
      return `and is blocked itself${within}`;
    case 'running':
      return `and waits for a CPU${returning || within}`;
    case 'stopped':
      return `and is stopped${within}`;
    default:
      return `and sleeps${within}${left}`;
  }
}

function listed(names: readonly string[]): string {
  if (names.length > MAX_NAMES) return `${names.slice(0, MAX_NAMES).join(', ')} and ${names.length - MAX_NAMES} more`;
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}

function name({ comm, pid }: TaskRef): string {
  return `${safeLine(comm)} (${pid})`;
}

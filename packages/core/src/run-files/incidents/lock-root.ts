import type { TaskRef } from '../../detect/finding.js';
import type { ExplainedWait } from './explained-waits.js';

/** Why tasks wait, by the locks that they wait for. */
export interface LockRoot {
  /** `uring_lock left locked by npm ci`. */
  readonly title: string;
  /** The same in each attempt, whether or not it is certain how the owner left the lock. */
  readonly signature: string;
}

type Owned = ExplainedWait & { readonly owner: TaskRef | 'gone' };

/** Returns the lock at the end of the waits, or the deadlock; undefined when no owner is known. */
export function lockRoot(waits: readonly ExplainedWait[]): LockRoot | undefined {
  const owned = waits.filter((wait): wait is Owned => wait.owner !== undefined);
  const last =
    owned.find(({ owner }) => owner === 'gone' || !owned.some(({ waiters }) => waiters.includes(owner.pid))) ??
    owned.find(waitsForItself);
  if (last !== undefined) return heldLock(last);
  return owned.length === 0 ? undefined : deadlock(owned);
}

const waitsForItself = ({ owner, waiters }: Owned) => owner !== 'gone' && waiters.includes(owner.pid);

function heldLock(wait: Owned): LockRoot {
  const { owner, kind, name } = wait;
  const lock = name?.split('.').at(-1) ?? kind;
  const signature = `lock ${name ?? kind} ${owner === 'gone' ? 'gone' : general(owner)}`;
  if (owner === 'gone') return { title: `${lock} held by a task that no longer exists`, signature };
  const title = `${lock} ${wait.left ? 'left locked' : 'held'} by ${general(owner)}`;
  return { title: waitsForItself(wait) ? `${title}, which waits for it itself` : title, signature };
}

/** Each task of a circle waits for the next: follows the owners until one comes again. */
function deadlock(owned: readonly Owned[]): LockRoot | undefined {
  const path: TaskRef[] = [];
  let next = owned[0]?.owner;
  while (next !== undefined && next !== 'gone') {
    const { pid } = next;
    const from = path.findIndex((task) => task.pid === pid);
    if (from !== -1) {
      const names = path.slice(from).map(general).toSorted();
      return { title: `deadlock of ${names.join(' and ')}`, signature: `deadlock ${names.join(', ')}` };
    }
    path.push(next);
    next = owned.find(({ waiters }) => waiters.includes(pid))?.owner;
  }
  return undefined;
}

/** A task's name may hold its own or another task's number: iou-sqp-342. */
const general = ({ comm }: TaskRef) => comm.replace(/\d+/g, 'N');

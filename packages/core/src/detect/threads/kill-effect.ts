import type { BlockedThread, ThreadSample } from './thread-sample.js';

/** The effect of SIGKILL on a process. */
export type KillOutcome =
  /** Nothing changed: the process is there as before. */
  | 'no-effect'
  /** The main thread is a zombie, other threads are still in D, and so the process does not end. */
  | 'zombie-leader'
  /** None of its threads is in D any more. */
  | 'gone'
  /** The second sample is cut short and does not show the process. */
  | 'unknown';

/** The effect of `kill -9` on one process. */
export interface KillEffect {
  readonly pid: number;
  readonly comm: string;
  readonly outcome: KillOutcome;
  /** SIGKILL was delivered and waits for the thread to wake up. */
  readonly killPending: boolean;
  /** Threads still in D. */
  readonly left: readonly BlockedThread[];
  /** One sentence; holds guest text. */
  readonly summary: string;
}

/** Compares a sample from before `kill -9` with one from after it: one effect for each process with a thread in D before. */
export function describeKillEffect(before: ThreadSample, after: ThreadSample): KillEffect[] {
  const processes = new Map<number, BlockedThread>();
  for (const thread of before.blocked) if (!processes.has(thread.pid)) processes.set(thread.pid, thread);
  return [...processes.values()].map((known) => {
    const same = before.blocked.filter(({ pid }) => pid === known.pid);
    const left = after.blocked.filter(
      (thread) =>
        thread.pid === known.pid &&
        same.some(({ tid, startTime }) => tid === thread.tid && startTime === thread.startTime),
    );
    return describeProcess(known, left, after.complete);
  });
}

function describeProcess(known: BlockedThread, left: readonly BlockedThread[], complete: boolean): KillEffect {
  const killPending = left.some((thread) => thread.killPending);
  const name = `${known.processComm} (pid ${known.pid})`;
  const effect = { pid: known.pid, comm: known.processComm, killPending, left };
  const threads = left
    .map(({ comm, tid, wchan }) => `${comm} (${tid}${wchan === undefined ? '' : ` in ${wchan}`})`)
    .join(', ');
  if (left.length === 0) {
    return complete
      ? { ...effect, outcome: 'gone', summary: `${name} is gone, or no longer in state D` }
      : { ...effect, outcome: 'unknown', summary: `the sample after the kill is cut short and does not show ${name}` };
  }
  if (left.some(({ processState }) => processState === 'Z')) {
    return {
      ...effect,
      outcome: 'zombie-leader',
      summary: `${name} is a zombie whose threads do not end: ${threads} still in state D`,
    };
  }
  const pending = killPending ? ', with SIGKILL pending' : '';
  return {
    ...effect,
    outcome: 'no-effect',
    summary: `kill -9 changed nothing: ${name} still has ${threads} in state D${pending}`,
  };
}

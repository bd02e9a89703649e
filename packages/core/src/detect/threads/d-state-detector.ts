import type { Candidate, DStateFinding, TaskRef } from '../finding.js';
import { chooseFunction } from '../kernel-log/stacks/frame-choice.js';
import type { BlockedThread, ThreadSample } from './thread-sample.js';

/** Which threads count, and when one is stuck. */
export interface DStateOptions {
  /** Names of threads or processes that count; default all. */
  readonly comm?: RegExp;
  /** For how long a thread must stay in D without having run, in ms. */
  readonly forMs: number;
  /** Whether kernel threads count as well. Default false. */
  readonly kernelThreads?: boolean;
}

/** A thread that is stuck now. */
export interface StuckThread {
  readonly thread: BlockedThread;
  /** Clock of the samples, in ms, when it was first seen so. */
  readonly since: number;
  readonly stuckMs: number;
}

/** Finds threads that stay in D state without having run. */
export interface DStateDetector {
  /** Takes a sample made at `atMs`; returns each thread once, when it has been stuck for `forMs`. */
  push(sample: ThreadSample, atMs: number): DStateFinding[];
  /** The threads stuck for `forMs` or longer as of the last sample, longest first. */
  stuck(): StuckThread[];
  /** The threads in D as of the last sample that have not been stuck for `forMs` yet, longest first. */
  readonly candidates: readonly Candidate[];
}

interface Watched {
  thread: BlockedThread;
  since: number;
  reported: boolean;
}

/**
 * Tells a stuck thread from one that waits for busy I/O: a stuck thread was in state D in every sample for `forMs`
 * without a context switch. A thread between two waits is in D by chance, and its number of context switches grows.
 */
export function createDStateDetector(options: DStateOptions): DStateDetector {
  const watched = new Map<string, Watched>();
  const { forMs, kernelThreads = false } = options;
  const pattern =
    options.comm === undefined ? undefined : new RegExp(options.comm.source, options.comm.flags.replace(/[gy]/g, ''));
  let lastAt = 0;

  const wanted = (thread: BlockedThread): boolean =>
    (kernelThreads || !thread.kernelThread) &&
    (pattern === undefined || pattern.test(thread.comm) || pattern.test(thread.processComm));

  return {
    push(sample, atMs) {
      lastAt = atMs;
      const found: DStateFinding[] = [];
      const present = new Set<string>();
      for (const thread of sample.blocked) {
        if (!wanted(thread)) continue;
        const key = `${thread.tid}:${thread.startTime}`;
        present.add(key);
        const before = watched.get(key);
        if (before === undefined || hasRun(before.thread, thread)) {
          watched.set(key, { thread, since: atMs, reported: false });
          continue;
        }
        before.thread = thread;
        if (before.reported || atMs - before.since < forMs) continue;
        before.reported = true;
        found.push(describe(thread, atMs - before.since, atMs));
      }
      if (sample.complete) {
        for (const key of watched.keys()) if (!present.has(key)) watched.delete(key);
      }
      return found;
    },

    stuck: () =>
      [...watched.values()]
        .filter(({ since }) => lastAt - since >= forMs)
        .map(({ thread, since }) => ({ thread, since, stuckMs: lastAt - since }))
        .sort((one, other) => one.since - other.since),

    get candidates() {
      return [...watched]
        .filter(([, { reported }]) => !reported)
        .map(([key, { thread, since }]) => ({
          id: `d-state ${key}`,
          kind: 'd-state',
          title: titleOf(thread, placeOf(thread)),
          since,
          dueAt: since + forMs,
        }))
        .sort((one, other) => one.since - other.since);
    },
  };
}

/** The thread has more context switches than before or, where the number is unknown, another kernel stack. */
function hasRun(before: BlockedThread, now: BlockedThread): boolean {
  if (before.switches !== now.switches) return true;
  if (now.switches !== undefined) return false;
  return text(before) !== text(now);
}

function text({ stack = [] }: BlockedThread): string {
  return stack.map(({ raw }) => raw).join('\n');
}

function describe(thread: BlockedThread, stuckMs: number, atMs: number): DStateFinding {
  const where = placeOf(thread);
  const task: TaskRef = { comm: thread.comm, pid: thread.tid, tgid: thread.pid };
  return {
    kind: 'd-state',
    severity: 'error',
    title: titleOf(thread, where),
    // A comm may hold its own or another task's number: iou-sqp-342.
    signature: ['d-state', thread.comm.replace(/\d+/g, 'N'), ...(where === undefined ? [] : [where])].join(' '),
    at: atMs,
    task,
    stuckMs,
    ...(thread.wchan === undefined ? {} : { wchan: thread.wchan }),
    ...(thread.cgroup === undefined ? {} : { cgroup: thread.cgroup }),
    ...(thread.stack === undefined ? {} : { stack: thread.stack }),
    evidence: [evidenceLine(thread)],
  };
}

function placeOf(thread: BlockedThread): string | undefined {
  return thread.wchan ?? chooseFunction(thread.stack ?? [], ['hang', 'locks', 'primitives']);
}

function titleOf(thread: BlockedThread, where: string | undefined): string {
  const own = thread.tid === thread.pid ? '' : `, thread ${thread.tid}`;
  return `D state: ${thread.comm} (pid ${thread.pid}${own})${where === undefined ? '' : ` in ${where}`}`;
}

function evidenceLine(thread: BlockedThread): string {
  return [
    `pid=${thread.pid} tid=${thread.tid} comm=${thread.comm} state=D`,
    ...(thread.processState === undefined ? [] : [`process=${thread.processComm} ${thread.processState}`]),
    ...(thread.switches === undefined ? [] : [`switches=${thread.switches}`]),
    ...(thread.wchan === undefined ? [] : [`wchan=${thread.wchan}`]),
    ...(thread.killPending ? ['SIGKILL pending'] : []),
    ...(thread.cgroup === undefined ? [] : [`cgroup=${thread.cgroup}`]),
  ].join(' ');
}

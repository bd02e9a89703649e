import { readdirSync, readFileSync } from 'node:fs';
import { monotonicMs } from './clock.js';

const POLL_INTERVAL_MS = 250;
/** A thread that waits for less than this share of the time is on a busy host, not on one with too few processors. */
const STARVED_SHARE = 0.25;

/** The time that each thread has waited for a processor, by its id, in ns. */
type Delays = ReadonlyMap<string, number>;

interface Watched {
  readonly pid: number;
  delays: Delays;
}

const watched = new Set<Watched>();
let timer: NodeJS.Timeout | undefined;
let lookedAt = 0;
let totalMs = 0;

/**
 * Returns the total time, in ms, in which a watched process could not run: it was stopped by a signal, or one of its threads waited
 * for a processor. Of several processes the one that waited longest counts. Only differences between two calls mean something.
 */
export function starvedMs(): number {
  return totalMs;
}

/** Watches a process. Returns a function that ends it. */
export function watchStarvation(pid: number): () => void {
  const one: Watched = { pid, delays: delaysOf(pid) };
  if (watched.size === 0) {
    lookedAt = monotonicMs();
    timer = setInterval(look, POLL_INTERVAL_MS);
    timer.unref();
  }
  watched.add(one);
  return () => {
    watched.delete(one);
    if (watched.size === 0) clearInterval(timer);
  };
}

function look(): void {
  const now = monotonicMs();
  const passed = now - lookedAt;
  lookedAt = now;
  const worst = Math.max(0, ...[...watched].map((one) => lost(one, passed)));
  if (worst >= STARVED_SHARE * passed) totalMs += worst;
}

function lost(one: Watched, passed: number): number {
  if (isStopped(one.pid)) return passed;
  const before = one.delays;
  one.delays = delaysOf(one.pid);
  return Math.max(0, ...[...one.delays].map(([thread, delay]) => delay - (before.get(thread) ?? delay))) / 1e6;
}

/** proc_pid_stat(5): the third field, behind the name. */
function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  } catch {
    return false;
  }
}

/** Documentation/scheduler/sched-stats.rst: the second number of a thread's schedstat. Without it, nothing counts as starved. */
function delaysOf(pid: number): Delays {
  try {
    return new Map(
      readdirSync(`/proc/${pid}/task`).map((thread) => [
        thread,
        Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[1]),
      ]),
    );
  } catch {
    return new Map();
  }
}

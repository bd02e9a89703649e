import type { StackFrame } from '../finding.js';
import { parseFrame } from '../kernel-log/stacks/frames.js';

/** One thread in uninterruptible sleep, as `/proc` shows it. All text comes from the guest. */
export interface BlockedThread {
  /** Process (thread group); equal to `tid` for the main thread. */
  readonly pid: number;
  readonly tid: number;
  /** Name of the thread. */
  readonly comm: string;
  /** Name of the process's main thread. */
  readonly processComm: string;
  /** State of the main thread: `Z` when the process was killed and only other threads are left. */
  readonly processState?: string;
  /** Threads in the process. */
  readonly threads?: number;
  readonly kernelThread: boolean;
  /** In clock ticks since boot: together with the tid it identifies a thread. */
  readonly startTime: number;
  /** Voluntary and other context switches together; a thread whose number does not change did not run. */
  readonly switches?: number;
  /** A SIGKILL waits to be taken by the thread or its process. */
  readonly killPending: boolean;
  readonly wchan?: string;
  /** Path below /sys/fs/cgroup. */
  readonly cgroup?: string;
  /** Innermost frame first, where asked for and readable. */
  readonly stack?: readonly StackFrame[];
}

/** The threads in D state at one moment. */
export interface ThreadSample {
  /** Seconds since the guest booted. */
  readonly uptime?: number;
  /** Threads that were examined. */
  readonly seen: number;
  /** The guest printed the sample to its end; when false, a thread that is not in it may still be there. */
  readonly complete: boolean;
  /** Threads in state D. */
  readonly blocked: readonly BlockedThread[];
}

/** PF_KTHREAD, include/linux/sched.h. */
const KERNEL_THREAD = 0x200000;
const SIGKILL_BIT = 1n << 8n;
const MAX_BLOCKED = 10_000;
const FIELDS = 14;

/** Reads what {@link threadSampleScript} printed; other text around it is passed over. */
export function parseThreadSample(text: string): ThreadSample {
  let uptime: number | undefined;
  let seen = 0;
  let complete = false;
  let blocked: BlockedThread[] = [];
  for (const line of text.split(/\r?\n/)) {
    const fields = line.split('\t');
    if (fields[0] === 'qmpilot-threads') {
      blocked = [];
      complete = false;
      uptime = toNumber(fields[2]);
    } else if (fields[0] === 'end' && fields.length === 2) {
      seen = toNumber(fields[1]) ?? 0;
      complete = true;
    } else if (fields[0] === 'D' && fields.length === FIELDS && blocked.length < MAX_BLOCKED) {
      const thread = parseThread(fields);
      if (thread !== undefined) blocked.push(thread);
    }
  }
  return { ...(uptime === undefined ? {} : { uptime }), seen, complete, blocked };
}

function parseThread(fields: readonly string[]): BlockedThread | undefined {
  const [
    ,
    pidText,
    tidText,
    flagsText,
    startText,
    switchesText,
    pending,
    wchan,
    state,
    threadsText,
    cgroup,
    processComm,
    comm,
    stackText,
  ] = fields;
  const [pid, tid, flags, startTime] = [toNumber(pidText), toNumber(tidText), toNumber(flagsText), toNumber(startText)];
  if (pid === undefined || tid === undefined || flags === undefined || startTime === undefined) return undefined;
  const switches = toNumber(switchesText);
  const threads = toNumber(threadsText);
  const stack = parseStack(stackText ?? '-');
  return {
    pid,
    tid,
    comm: comm ?? '',
    processComm: processComm === undefined || processComm === '-' ? (comm ?? '') : processComm,
    ...(state !== undefined && /^[A-Za-z]$/.test(state) ? { processState: state } : {}),
    ...(threads === undefined ? {} : { threads }),
    kernelThread: Math.floor(flags / KERNEL_THREAD) % 2 === 1,
    startTime,
    ...(switches === undefined ? {} : { switches }),
    killPending: (pending ?? '').split(' ').some(holdsSigkill),
    ...(known(wchan) && wchan !== '0' ? { wchan } : {}),
    ...(known(cgroup) ? { cgroup } : {}),
    ...(stack.length === 0 ? {} : { stack }),
  };
}

function known(text: string | undefined): text is string {
  return text !== undefined && text !== '' && text !== '-';
}

function toNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}(?:\.\d{1,9})?$/.test(text) ? Number(text) : undefined;
}

function holdsSigkill(mask: string): boolean {
  return /^[0-9a-f]{1,32}$/.test(mask) && (BigInt(`0x${mask}`) & SIGKILL_BIT) !== 0n;
}

/** `[<0>] io_sq_thread+0x26e/0x4e0 [<0>] ret_from_fork+0x22/0x30` */
function parseStack(text: string): StackFrame[] {
  return text
    .slice(0, 16_384)
    .split(/ ?\[<[0-9a-f]{1,16}>\] /)
    .map((frame) => parseFrame(frame))
    .filter((frame) => frame !== undefined);
}

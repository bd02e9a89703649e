import type { StackFrame, TaskRef } from '../finding.js';
import { parseKernelLine } from '../kernel-log/lines/kernel-line.js';
import { parseFrame } from '../kernel-log/stacks/frames.js';
import type { ThreadSample } from './thread-sample.js';

/** A task as SysRq prints it. */
export interface DumpedTask extends TaskRef {
  /** `D` in a dump of blocked tasks. */
  readonly state: string;
  /** Whether the kernel itself started it. */
  readonly kernelThread: boolean;
  /** Innermost frame first; frames that the kernel was not sure of are left out. */
  readonly stack: readonly StackFrame[];
}

/** kernel/sched/core.c, sched_show_task(): `task:npm ci          state:D stack:0     pid:888   ppid:1 flags:0x4004`. */
const TASK =
  /^task:(?<comm>.{1,64}?) +state:(?<state>[A-Za-z])(?: {1,2}running task)? +stack: {0,8}-?\d{1,10} +pid: {0,8}(?<pid>\d{1,10})(?: +tgid: {0,8}(?<tgid>\d{1,10}))?(?: +ppid: {0,8}(?<ppid>\d{1,10}))? /;
/** Before 5.11: `npm ci          D    0   888    880 0x00000004`; the name fills 15 columns. Before 4.10 an address follows the state. */
const OLD_TASK =
  /^(?<comm>.{15}) (?<state>[RSDTtXZPI]) {0,16}(?:running task)? *(?:[0-9a-f]{8,16} +)?\d{1,6} +(?<pid>\d{1,10}) +(?<ppid>\d{1,10}) 0x[0-9a-f]{1,16} /;
/** Every kernel thread is a child of kthreadd. */
const KTHREADD = 2;
const MAX_TASKS = 4096;
const MAX_FRAMES = 128;

/** Reads what SysRq `w` (blocked tasks) or `t` (all tasks) printed; other lines around it are passed over. */
export function parseBlockedTasks(text: string): DumpedTask[] {
  const tasks: (DumpedTask & { stack: StackFrame[] })[] = [];
  for (const line of text.split(/\r?\n/)) {
    const said = parseKernelLine(line).text;
    const task = parseTask(`${said} `);
    if (task !== undefined) {
      if (tasks.length >= MAX_TASKS) break;
      tasks.push(task);
      continue;
    }
    const frame = parseFrame(said);
    const stack = tasks.at(-1)?.stack;
    if (frame !== undefined && frame.uncertain !== true && stack !== undefined && stack.length < MAX_FRAMES)
      stack.push(frame);
  }
  return tasks;
}

function parseTask(said: string): (DumpedTask & { stack: StackFrame[] }) | undefined {
  const { comm, state, pid, tgid, ppid } = (TASK.exec(said) ?? OLD_TASK.exec(said))?.groups ?? {};
  if (comm === undefined || state === undefined || pid === undefined) return undefined;
  return {
    comm: comm.trim(),
    state,
    pid: Number(pid),
    ...(tgid === undefined ? {} : { tgid: Number(tgid) }),
    kernelThread: Number(pid) === KTHREADD || Number(ppid) === KTHREADD,
    stack: [],
  };
}

/**
 * The blocked tasks of a dump as a sample, for a guest that answers no other way. A dump has no count of context
 * switches: the stack stands for it.
 */
export function sampleOfDump(tasks: readonly DumpedTask[]): ThreadSample {
  const blocked = tasks
    .filter(({ state }) => state === 'D')
    .map(({ comm, pid, tgid, kernelThread, stack }) => ({
      pid: tgid ?? pid,
      tid: pid,
      comm,
      processComm: comm,
      kernelThread,
      startTime: 0,
      killPending: false,
      ...(stack.length === 0 ? {} : { stack }),
    }));
  return { seen: tasks.length, complete: true, blocked };
}

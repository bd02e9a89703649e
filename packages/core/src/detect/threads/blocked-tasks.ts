import type { StackFrame, TaskRef } from '../finding.js';
import { parseFrame } from '../kernel-log/frames.js';
import { parseKernelLine } from '../kernel-log/kernel-line.js';

/** A task as SysRq prints it. */
export interface DumpedTask extends TaskRef {
  /** `D` in a dump of blocked tasks. */
  readonly state: string;
  /** Innermost frame first; frames that the kernel was not sure of are left out. */
  readonly stack: readonly StackFrame[];
}

/** kernel/sched/core.c, sched_show_task(): `task:npm ci          state:D stack:0     pid:888   ppid:1 flags:0x4004`. */
const TASK = /^task:(.{1,64}?) +state:([A-Za-z]) +stack: {0,8}-?\d{1,10} +pid: {0,8}(\d{1,10})(?: +tgid: {0,8}(\d{1,10}))? /;
const MAX_TASKS = 4096;
const MAX_FRAMES = 128;

/** Reads what SysRq `w` (blocked tasks) or `t` (all tasks) printed; other lines around it are passed over. */
export function parseBlockedTasks(text: string): DumpedTask[] {
  const tasks: (DumpedTask & { stack: StackFrame[] })[] = [];
  for (const line of text.split(/\r?\n/)) {
    const said = parseKernelLine(line).text;
    const head = TASK.exec(`${said} `);
    if (head !== null) {
      if (tasks.length >= MAX_TASKS) break;
      const tgid = head[4] === undefined ? {} : { tgid: Number(head[4]) };
      tasks.push({ comm: head[1] ?? '', state: head[2] ?? '', pid: Number(head[3]), ...tgid, stack: [] });
      continue;
    }
    const frame = parseFrame(said);
    const stack = tasks.at(-1)?.stack;
    if (frame !== undefined && frame.uncertain !== true && stack !== undefined && stack.length < MAX_FRAMES) stack.push(frame);
  }
  return tasks;
}

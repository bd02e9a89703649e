import type { StackFrame } from '../../detect/finding.js';
import { parseFrame } from '../../detect/kernel-log/stacks/frames.js';
import { parseGdbThreads, type GdbFrame } from '../../detect/stacks/gdb-backtrace.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { Shell } from '../../shell/shell.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { shQuote } from '../../util/text/sh-quote.js';

/** Where one thread is, in the kernel and in its program. */
export interface ThreadStacks {
  readonly tid: number;
  readonly comm: string;
  /** proc_pid_stat(5): `R`, `S`, `D`, `T`, `t`, `Z`, ... */
  readonly state: string;
  /** A kernel thread or an io_uring worker: it has no user stack. */
  readonly inKernelOnly: boolean;
  /** Innermost frame first; empty for a thread that runs. */
  readonly kernel: readonly StackFrame[];
  /** Innermost frame first; absent where gdb could not look. */
  readonly user?: readonly GdbFrame[];
}

/** Where the threads of a process stand. */
export interface ProcessStacks {
  readonly pid: number;
  readonly comm: string;
  readonly threads: readonly ThreadStacks[];
  /** Why there are no user stacks; absent when gdb gave them. */
  readonly userUnavailable?: string;
}

export interface StacksOptions extends WaitOptions {
  /** `false` leaves gdb out, which stops the process for a moment; default true. */
  readonly user?: boolean;
}

/** Reads only files that no lock of the process can block: `cmdline`, `exe` and `maps` would wait where its memory is locked. */
const KERNEL_SIDE = String.raw`
pid=PID
[ -d "/proc/$pid" ] || exit 44
while IFS= read -r line; do case $line in TracerPid:*) echo "tracer \${line##*[!0-9]}";; esac; done < "/proc/$pid/status"
for d in /proc/$pid/task/[0-9]*; do
  stat=; IFS= read -r -d '' stat < "$d/stat"
  [ -n "$stat" ] || continue
  comm=\${stat#*(} comm=\${comm%)*} comm=\${comm//[$'\n\t']/ }
  set -- \${stat##*) }
  echo "thread \${d##*/} $1 $7 $comm"
  while IFS= read -r line; do echo "frame $line"; done < "$d/stack"
done 2>/dev/null
true
`.replaceAll('\\$', '$');

/** PF_KTHREAD and PF_IO_WORKER, include/linux/sched.h. */
const KERNEL_ONLY = 0x200000 | 0x10;
/** A thread that is in D state each time it is looked at does not stop for ptrace. */
const MAX_LOOKS = 5;
const LOOK_PAUSE_S = 0.2;
/** Loading the symbols of a large program takes gdb 20 s without KVM. */
const GDB_LIMIT_S = 120;

/** Reads the stacks of a process by `shell`. */
export async function readStacks(shell: Shell, pid: number, options: StacksOptions = {}): Promise<ProcessStacks> {
  if (!Number.isInteger(pid) || pid < 1) throw new QmpilotError('USAGE', `${pid} is not a process id`);
  const wait = {
    patience: '3m',
    ...(options.timeout !== undefined && { timeout: options.timeout }),
    signal: options.signal,
  };
  let seen = await kernelSide(shell, pid, wait);
  const first = seen.threads.filter(({ state }) => state === 'D').map(({ tid }) => tid);
  let stuck = new Set(first);
  for (let look = 1; look < MAX_LOOKS && stuck.size > 0; look += 1) {
    await shell.exec(`sleep ${LOOK_PAUSE_S}`, wait);
    seen = await kernelSide(shell, pid, wait);
    const still = new Set(seen.threads.filter(({ state }) => state === 'D').map(({ tid }) => tid));
    stuck = new Set([...stuck].filter((tid) => still.has(tid)));
  }
  const { comm, threads, tracer } = seen;
  const hidden = threads.filter(({ tid, inKernelOnly }) => stuck.has(tid) || inKernelOnly);
  const forbidden = options.user === false ? 'it was not requested' : whyNotUser(threads, stuck, tracer);
  if (forbidden) return { pid, comm, threads, userUnavailable: forbidden };
  const user = await userSide(shell, pid, stuck.size > 0 ? hideThreads(pid, threads, hidden) : '', wait);
  if (typeof user === 'string') return { pid, comm, threads, userUnavailable: user };
  return { pid, comm, threads: threads.map((thread) => withUser(thread, user.get(thread.tid))) };
}

function withUser(thread: ThreadStacks, frames: readonly GdbFrame[] | undefined): ThreadStacks {
  return frames ? { ...thread, user: frames } : thread;
}

function whyNotUser(threads: readonly ThreadStacks[], stuck: ReadonlySet<number>, tracer: number): string | undefined {
  const user = threads.filter(({ inKernelOnly }) => !inKernelOnly);
  const blocked = user.find(({ tid }) => stuck.has(tid));
  if (blocked && user.every(({ tid }) => stuck.has(tid))) {
    const where = blocked.kernel[0]?.function;
    return `thread ${blocked.tid} (${blocked.comm}) is in state D${where ? ` in ${where}` : ''}: a debugger would wait for it forever`;
  }
  if (tracer > 0) return `process ${tracer} traces it already`;
  if (threads.every(({ inKernelOnly }) => inKernelOnly)) return 'it is a thread of the kernel';
  if (threads.every(({ state }) => state === 'Z' || state === 'X')) return 'it has ended and waits to be reaped';
  return undefined;
}

async function kernelSide(
  shell: Shell,
  pid: number,
  wait: WaitOptions,
): Promise<{ comm: string; threads: ThreadStacks[]; tracer: number }> {
  const { stdout, exitCode } = await shell.exec(KERNEL_SIDE.replace('PID', String(pid)), wait);
  const threads: (ThreadStacks & { kernel: StackFrame[] })[] = [];
  let tracer = 0;
  for (const line of stdout.split('\n')) {
    const thread = /^thread (\d+) (\S) (\d+) (.*)$/.exec(line);
    if (thread)
      threads.push({
        tid: Number(thread[1]),
        state: thread[2] ?? '',
        inKernelOnly: (Number(thread[3]) & KERNEL_ONLY) !== 0,
        comm: thread[4] ?? '',
        kernel: [],
      });
    else if (line.startsWith('tracer ')) tracer = Number(line.slice(7));
    else if (line.startsWith('frame ')) {
      const frame = parseFrame(line.slice(6));
      if (frame) threads.at(-1)?.kernel.push(frame);
    }
  }
  if (exitCode === 44 || threads.length === 0)
    throw new QmpilotError('NOT_FOUND', `process ${pid} not found in the guest`);
  return { comm: threads.find(({ tid }) => tid === pid)?.comm ?? threads[0]?.comm ?? '', threads, tracer };
}

/**
 * Shell commands that hide threads of a process from what they start: gdb stops every thread that it finds in /proc/PID/task, and waits
 * forever for one in D state. In a mount namespace of its own, that directory has only the others.
 */
function hideThreads(pid: number, threads: readonly ThreadStacks[], hidden: readonly ThreadStacks[]): string {
  const task = `/proc/${pid}/task`;
  const shown = threads.filter((thread) => !hidden.includes(thread)).map(({ tid }) => tid);
  const bind = shown.map((tid) => `mkdir /mnt/${tid} && mount --bind ${task}/${tid} /mnt/${tid}`);
  return ['mount -t tmpfs none /mnt', ...bind, `mount --rbind /mnt ${task}`]
    .map((command) => `${command} && `)
    .join('');
}

/** gdb ends by itself, by `timeout`, or is killed; a process that it had stopped continues then. */
async function userSide(
  shell: Shell,
  pid: number,
  /** Runs before gdb, in a mount namespace that both share; empty for none. */
  before: string,
  wait: WaitOptions,
): Promise<Map<number, readonly GdbFrame[]> | string> {
  const debug = `timeout -k 2 ${GDB_LIMIT_S} gdb -nx -batch -iex 'set auto-load off' -iex 'set debuginfod enabled off' -iex 'set width 0' -ex 'thread apply all bt' -p ${pid} < /dev/null`;
  const gdb = before === '' ? debug : `unshare --mount sh -c ${shQuote(`${before}${debug}`)}`;
  const script = `command -v gdb > /dev/null || exit 45; ${gdb}; c=$?; [ $c -lt 124 ] || { read -r s < /proc/${pid}/stat; set -- \${s##*) }; [ "$1" != T ] || kill -CONT ${pid}; }; exit $c`;
  try {
    const { stdout, stderr, exitCode } = await shell.exec(script, wait);
    if (exitCode === 45) return 'the guest has no gdb';
    if (exitCode === 124 || exitCode === 137) return `gdb did not get hold of it within ${GDB_LIMIT_S} s`;
    const threads = parseGdbThreads(stdout).flatMap(({ tid, frames }): [number, readonly GdbFrame[]][] => [
      [tid ?? pid, frames],
    ]);
    if (threads.length === 0)
      return `gdb: ${
        stderr
          .trim()
          .split('\n')
          .find((line) => /ptrace|not permitted|No such/i.test(line)) ?? `ended with ${exitCode} and showed no stack`
      }`;
    return new Map(threads);
  } catch (error) {
    if (isQmpilotError(error, 'TIMEOUT')) return `gdb did not end in time: ${error.message}`;
    throw error;
  }
}

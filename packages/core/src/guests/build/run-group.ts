import { spawn, type ChildProcess } from 'node:child_process';
import { Duplex } from 'node:stream';
import { AbortedError } from '../../errors.js';
import { Ring } from '../../util/ring.js';

export interface GroupRun {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** For the error after a cancellation. */
  readonly what: string;
  readonly onLine: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface GroupResult {
  /** Exit code, or what ended it. */
  readonly status: number | string;
  /** The last lines of both streams. */
  readonly lines: readonly string[];
}

/** Runs the program when a line arrives. The reaper has been started by then; if this process ends before, the program never starts. */
const WHEN_TOLD = 'read -r _start <&3 && exec "$@" 3<&-';

/** Time to end after SIGTERM, before SIGKILL. */
const GRACE_S = 5;

/**
 * Runs a program in a process group of its own, and follows the lines of its output. The group ends with this process, SIGKILL
 * included.
 * @throws {ABORTED}: everything it started is gone
 */
export async function runGroup(run: GroupRun): Promise<GroupResult> {
  if (run.signal?.aborted) throw new AbortedError(run.what, run.signal.reason);
  const child = spawn('/bin/sh', ['-c', WHEN_TOLD, 'qmpilot-build', run.program, ...run.args], {
    cwd: run.cwd,
    env: { ...process.env, ...run.env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  let timer: NodeJS.Timeout | undefined;
  const kill = (signal: NodeJS.Signals) => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, signal);
  };
  const killGroup = () => {
    kill('SIGTERM');
    timer = setTimeout(kill, GRACE_S * 1000, 'SIGKILL');
  };
  run.signal?.addEventListener('abort', killGroup, { once: true });
  const reaper = child.pid === undefined ? undefined : startReaper(child.pid);
  const start = child.stdio[3];
  start?.on('error', () => {});
  if (start instanceof Duplex) start.end('\n');
  const lines = new Ring<string>(60);
  for (const stream of [child.stdout, child.stderr])
    if (stream)
      follow(stream, (line) => {
        lines.push(line);
        run.onLine(line);
      });
  const status = await new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  });
  run.signal?.removeEventListener('abort', killGroup);
  clearTimeout(timer);
  reaper?.kill('SIGKILL');
  if (run.signal?.aborted) throw new AbortedError(run.what, run.signal.reason);
  return { status, lines: lines.last() };
}

/** Ends the group when this process is gone, however it ended: `read` returns when the pipe is closed. */
function startReaper(group: number): ChildProcess {
  // The kill of dash takes no `--` behind -TERM.
  const script = `trap '' INT TERM HUP QUIT; read -r _ignored; kill -s TERM -- "-$1"; sleep ${GRACE_S}; kill -s KILL -- "-$1"`;
  const child = spawn('/bin/sh', ['-c', script, 'qmpilot-reaper', String(group)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  return child;
}

function follow(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let partial = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (partial + text).split(/[\r\n]+/);
    partial = (lines.pop() ?? '').slice(-4096);
    for (const line of lines) if (line !== '') take(line.slice(0, 500));
  });
}

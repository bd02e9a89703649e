import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

export const isRoot = process.getuid?.() === 0;

function run(command: string, ...args: readonly string[]): { readonly ok: boolean; readonly said: string } {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return { ok: status === 0, said: error?.message ?? stderr };
}

/**
 * Shuts down a socket that another process has open, for both of its ends: pidfd_getfd(2) (438) gives it to us by way of
 * pidfd_open(2) (434). perl-base is on every Debian, and can call both.
 */
const CUT = `
my ($pid, $fd) = @ARGV;
my $pidfd = syscall(434, $pid + 0, 0); die "pidfd_open: $!" if $pidfd < 0;
my $own = syscall(438, $pidfd, $fd + 0, 0); die "pidfd_getfd: $!" if $own < 0;
open(my $socket, '+<&=', $own) or die "open: $!";
shutdown($socket, 2) or die "shutdown: $!";
`;

/** @returns why it could not be cut */
export function cutSocket(pid: number, fd: number): string | undefined {
  const { ok, said } = run('perl', '-e', CUT, String(pid), String(fd));
  return ok ? undefined : said;
}

/** A file system of its own at `path`, so small that it can be filled. @returns why there is none */
export function mountSmall(path: string, mebibytes: number): string | undefined {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const { ok, said } = run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'qmpilot-faults', path);
  return ok ? undefined : said;
}

export function unmount(path: string): void {
  run('umount', '-l', path);
}

const FILLER = 'filler';

/** Writes into a file until there is no room. */
export function fill(path: string): void {
  const fd = openSync(join(path, FILLER), 'w');
  const block = Buffer.alloc(65_536, 1);
  try {
    for (;;) writeSync(fd, block);
  } catch {
    // Full.
  } finally {
    closeSync(fd);
  }
}

export function isFiller(name: string): boolean {
  return name === FILLER;
}

/** Nobody, root included, makes or removes entries of the folder. @returns why it could not be done */
export function freeze(path: string, frozen: boolean): string | undefined {
  const { ok, said } = run('chattr', frozen ? '+i' : '-i', path);
  return ok ? undefined : said;
}

export function bindReadOnly(path: string): string | undefined {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const { ok, said } = run('mount', '--bind', path, path);
  if (!ok) return said;
  const remounted = run('mount', '-o', 'remount,bind,ro', path);
  if (!remounted.ok) unmount(path);
  return remounted.ok ? undefined : remounted.said;
}

export interface MemoryGroup {
  /** Write a pid here to put the process, and what it starts, under the limit. */
  readonly join: string;
  readonly remove: () => Promise<void>;
}

/** What was killed for memory is listed nowhere any more, but may not be quite gone. */
const EMPTIED_MS = 30_000;

/** A cgroup with a limit of memory, of version 1 or 2; a string says why there is none. */
export function memoryGroup(name: string, mebibytes: number): MemoryGroup | string {
  const version1 = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');
  const path = join(version1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup', name);
  try {
    mkdirSync(path);
    writeFileSync(join(path, version1 ? 'memory.limit_in_bytes' : 'memory.max'), String(mebibytes << 20));
    return { join: join(path, 'cgroup.procs'), remove: () => removeGroup(path) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function removeGroup(path: string): Promise<void> {
  for (const deadline = performance.now() + EMPTIED_MS; existsSync(path);) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (performance.now() > deadline)
        throw new Error(`${path} still holds ${readFileSync(join(path, 'cgroup.procs'), 'utf8').trim() || 'nobody'}`, {
          cause: error,
        });
      await setTimeout(100);
    }
  }
}

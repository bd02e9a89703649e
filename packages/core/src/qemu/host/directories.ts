import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { lstat, mkdtemp, readdir, readFile, rm, rmdir, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { errnoOf, hostError } from '../../util/files/host-error.js';
import { isGone, ownerText, processText, startTime } from '../../util/files/process-owner.js';
import { removeDirectory } from '../../util/files/remove-directory.js';

/**
 * Everything that one controller (this process) keeps on the host while it lives: sockets, overlays, RAM files.
 * One 0700 folder on disk and one in memory, a helper that removes both when the controller is gone however it
 * ended, and a sweep at the start for the case that helper was killed too.
 */
export interface HostDirectories {
  /** On disk: overlays, state files. */
  readonly disk: string;
  /** For RAM files: in `$QMPILOT_RAM_DIR`, else on tmpfs where there is one, else the same as `disk`. */
  readonly memory: string;
  /** `$QMPILOT_RAM_DIR` was set: RAM files go nowhere else. */
  readonly memoryWasNamed: boolean;
}

const PREFIX = 'qmpilot-';
/** Names that mkdtemp makes: others with the prefix may be folders of a user. */
const MADE = /^qmpilot-[A-Za-z0-9]{6}$/;
const OWNER_FILE = 'owner';
const SHM = '/dev/shm';
/** statfs(2). */
const TMPFS_MAGIC = 0x01021994;
/** Memory that must stay free beside a RAM file, for QEMU and other programs. */
const RAM_MARGIN = 256 * 2 ** 20;

let current: Promise<HostDirectories> | undefined;
let reaper: ChildProcess | undefined;
let users = 0;

/** Every user calls `releaseHostDirectories` once; with the last one the folders go. */
export function acquireHostDirectories(): Promise<HostDirectories> {
  users += 1;
  current ??= create();
  const mine = current;
  return mine.catch((error: unknown) => {
    users -= 1;
    if (current === mine) current = undefined;
    throw error;
  });
}

export async function releaseHostDirectories(): Promise<void> {
  users -= 1;
  if (users > 0 || !current) return;
  const going = current;
  const goingReaper = reaper;
  current = undefined;
  reaper = undefined;
  const { disk, memory } = await going;
  await Promise.all([removeDirectory(disk), removeDirectory(memory)]);
  goingReaper?.stdin?.end();
}

async function create(): Promise<HostDirectories> {
  const named = process.env['QMPILOT_RAM_DIR'] || undefined;
  const parents = [...new Set([temporaryParent(), named ?? ((await isUsable(SHM)) ? SHM : temporaryParent())])];
  for (const parent of parents) await sweep(parent);
  const made: string[] = [];
  try {
    for (const parent of parents) {
      made.push(makeOwned(parent));
    }
    const disk = made[0] ?? '';
    const memory = made[1] ?? disk;
    reaper = startReaper([...new Set([disk, memory])]);
    return { disk, memory, memoryWasNamed: named !== undefined };
  } catch (cause) {
    for (const path of made) await removeDirectory(path).catch(() => {});
    throw hostError(`cannot create a private folder in ${parents.join(' or ')}`, cause, {
      hint: 'make room there, or set TMPDIR and QMPILOT_RAM_DIR to folders of your own',
    });
  }
}

/** In one go: a process that is killed in between leaves a folder that nobody can be asked about. */
function makeOwned(parent: string): string {
  const owner = ownerText();
  for (let tries = 0; ; tries += 1) {
    const path = mkdtempSync(join(parent, PREFIX));
    try {
      writeFileSync(join(path, OWNER_FILE), owner, { mode: 0o600 });
      return path;
    } catch (error) {
      // Another controller may have swept it while it was empty.
      if (tries < 10 && errnoOf(error) === 'ENOENT') continue;
      rmSync(path, { recursive: true, force: true });
      throw error;
    }
  }
}

function temporaryParent(): string {
  return tmpdir();
}

async function isUsable(path: string): Promise<boolean> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize > 64 * 1024 * 1024;
  } catch {
    return false;
  }
}

/** Removes folders of ours whose owner is gone, and ends what still runs in them. */
async function sweep(parent: string): Promise<void> {
  const names = (await readdir(parent).catch(() => [])).filter((name) => name.startsWith(PREFIX));
  for (const name of names) {
    const path = join(parent, name);
    try {
      const info = await lstat(path);
      if (!info.isDirectory() || info.uid !== process.getuid?.()) continue;
      const owner = await readFile(join(path, OWNER_FILE), 'utf8').catch(() => undefined);
      // Its process was killed before it wrote the file, or is about to write it, and then makes another one.
      if (owner === undefined) {
        if (MADE.test(name) && (info.mode & 0o777) === 0o700) await rmdir(path);
        continue;
      }
      if (!isGone(owner)) continue;
      for (const file of await readdir(path)) {
        if (file.endsWith('.pid')) killRecorded(await readFile(join(path, file), 'utf8'));
      }
      await removeDirectory(path);
    } catch {
      // Another controller sweeps at the same time, or the folder has no owner but files: leave it.
    }
  }
}

function killRecorded(text: string): void {
  const [, pid, started] = /^(\d+) (\d+)$/.exec(text.trim()) ?? [];
  if (started !== undefined && startTime(Number(pid)) === started) process.kill(Number(pid), 'SIGKILL');
}

/** Notes a child so that the reaper and the sweep can end it; `setpriv` has usually done so before them. */
export async function recordChild(directory: string, pid: number): Promise<void> {
  await writeFile(join(directory, `${pid}.pid`), processText(pid), { mode: 0o600 });
}

export async function forgetChild(directory: string, pid: number): Promise<void> {
  await rm(join(directory, `${pid}.pid`), { force: true });
}

/**
 * `read` returns when the controller closes the pipe or dies. Pids are checked against their start time, which a
 * shell reads as the 20th word behind the last parenthesis of /proc/PID/stat.
 */
const REAPER_SCRIPT = `
trap '' INT TERM HUP QUIT
read -r _ignored
for dir; do
  for file in "$dir"/*.pid; do
    [ -r "$file" ] || continue
    read -r pid started < "$file" || continue
    case $pid in ''|*[!0-9]*) continue ;; esac
    [ -n "$started" ] || continue
    read -r stat 2>/dev/null < "/proc/$pid/stat" || continue
    set_rest=\${stat##*) }
    n=0; start=
    for word in $set_rest; do n=$((n + 1)); [ $n = 20 ] && start=$word; done
    [ "$start" = "$started" ] && kill -9 "$pid"
  done
done
for dir; do rm -rf -- "$dir"; done
for dir; do [ -e "$dir" ] && { sleep 1; rm -rf -- "$dir"; }; done
exit 0
`;

function startReaper(directories: readonly string[]): ChildProcess {
  const child = spawn('/bin/sh', ['-c', REAPER_SCRIPT, 'qmpilot-reaper', ...directories], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
  });
  child.on('error', () => {});
  child.stdin?.on('error', () => {});
  child.unref();
  const pipe: unknown = child.stdin;
  if (isUnrefable(pipe)) pipe.unref();
  return child;
}

function isUnrefable(value: unknown): value is { unref(): void } {
  return typeof value === 'object' && value !== null && 'unref' in value && typeof value.unref === 'function';
}

/** A fresh 0700 folder for one VM below the disk folder. */
export async function makeVmDirectory(directories: HostDirectories): Promise<string> {
  return mkdtemp(join(directories.disk, 'vm-'));
}

/**
 * The folder for a RAM file of `bytes`: in memory if there is room, else on disk.
 * @throws {NO_SPACE}
 */
export async function chooseRamDirectory(
  { memory, disk, memoryWasNamed }: HostDirectories,
  bytes: number,
): Promise<string> {
  const candidates = memoryWasNamed ? [memory] : [...new Set([memory, disk])];
  const free = await Promise.all(candidates.map(freeBytes));
  const chosen = candidates.find((_, index) => (free[index] ?? 0) > bytes + RAM_MARGIN);
  if (chosen !== undefined) return chosen;
  const mebibytes = (size: number) => `${Math.floor(size / 2 ** 20)} MiB`;
  const found = candidates.map((path, index) => `${path} (${mebibytes(free[index] ?? 0)} free)`).join(' or ');
  throw new QmpilotError('NO_SPACE', `not enough space for ${mebibytes(bytes)} of guest RAM in ${found}`, {
    hint: 'free some room, set QMPILOT_RAM_DIR to a folder on a larger disk, or give the guest less memory',
  });
}

/**
 * Checks that a folder has room for `bytes` of guest RAM.
 * @throws {NO_SPACE}
 */
export async function requireRoom(folder: string, bytes: number): Promise<void> {
  await chooseRamDirectory({ memory: folder, disk: folder, memoryWasNamed: true }, bytes);
}

/** Files on tmpfs take memory, so the free memory is a limit as well. */
async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize, type } = await statfs(path);
  if (type !== TMPFS_MAGIC) return bavail * bsize;
  const available = /^MemAvailable: +(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8').catch(() => ''))?.[1];
  return Math.min(bavail * bsize, available === undefined ? Infinity : Number(available) * 1024);
}

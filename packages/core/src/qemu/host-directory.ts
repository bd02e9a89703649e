import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QmpilotError } from '../errors.js';

/**
 * Everything that one controller (this process) keeps on the host while it lives: sockets, overlays, RAM files.
 * One 0700 folder on disk and one in memory, a helper that removes both when the controller is gone however it
 * ended, and a sweep at the start for the case that helper was killed too.
 */
export interface HostDirectories {
  /** On disk: overlays, state files. */
  readonly disk: string;
  /** On tmpfs where there is one, else the same as `disk`: RAM files. */
  readonly memory: string;
}

const PREFIX = 'qmpilot-';
const OWNER_FILE = 'owner';
const SHM = '/dev/shm';

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
  await Promise.all([rm(disk, { recursive: true, force: true }), rm(memory, { recursive: true, force: true })]);
  goingReaper?.stdin?.end();
}

async function create(): Promise<HostDirectories> {
  const parents = [...new Set([temporaryParent(), (await isUsable(SHM)) ? SHM : temporaryParent()])];
  for (const parent of parents) await sweep(parent);
  try {
    const made = [];
    for (const parent of parents) {
      const path = await mkdtemp(join(parent, PREFIX));
      await writeFile(join(path, OWNER_FILE), ownerText(process.pid), { mode: 0o600 });
      made.push(path);
    }
    const disk = made[0] ?? '';
    const memory = made[1] ?? disk;
    reaper = startReaper([...new Set([disk, memory])]);
    return { disk, memory };
  } catch (cause) {
    throw new QmpilotError('NO_SPACE', `no private folder could be made in ${parents.join(' or ')}`, {
      cause,
      hint: 'make room there, or set TMPDIR to a folder that is yours',
    });
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

/** `PID START`: the start time (field 22 of /proc/PID/stat) tells a reused pid from the owner. */
function ownerText(pid: number): string {
  return `${pid} ${startTime(pid) ?? '?'}\n`;
}

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
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
      const [pid, started] = (await readFile(join(path, OWNER_FILE), 'utf8')).trim().split(' ');
      if (!pid || startTime(Number(pid)) === started) continue;
      for (const file of await readdir(path)) {
        if (file.endsWith('.pid')) killRecorded(await readFile(join(path, file), 'utf8'));
      }
      await rm(path, { recursive: true, force: true });
    } catch {
      // Another controller sweeps at the same time, or the folder has no owner file yet: leave it.
    }
  }
}

function killRecorded(text: string): void {
  const [pid, started] = text.trim().split(' ');
  if (pid && startTime(Number(pid)) === started) process.kill(Number(pid), 'SIGKILL');
}

/** Notes a child so that the reaper and the sweep can end it; `setpriv` has usually done so before them. */
export async function recordChild(directory: string, pid: number): Promise<void> {
  await writeFile(join(directory, `${pid}.pid`), ownerText(pid), { mode: 0o600 });
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

/** A fresh 0700 folder for one vm below the disk folder. */
export async function makeVmDirectory(directories: HostDirectories): Promise<string> {
  return mkdtemp(join(directories.disk, 'vm-'));
}

/** A fresh folder for RAM files with room for `bytes`: in memory if it has it, else on disk. */
export async function chooseRamDirectory(directories: HostDirectories, bytes: number): Promise<string> {
  for (const candidate of [directories.memory, directories.disk]) {
    const { bavail, bsize } = await statfs(candidate);
    if (bavail * bsize > bytes + 256 * 1024 * 1024) return candidate;
  }
  throw new QmpilotError('NO_SPACE', `no room for ${Math.round(bytes / 2 ** 20)} MiB of guest RAM in ${directories.memory} or ${directories.disk}`, {
    hint: 'free some room, set TMPDIR to a larger disk, or give the guest less memory',
  });
}

export async function ensurePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const info = await lstat(path);
  if (!info.isDirectory() || info.uid !== process.getuid?.()) {
    throw new QmpilotError('USAGE', `${path} is not a folder of this user`, { hint: 'name another folder, or remove it' });
  }
}

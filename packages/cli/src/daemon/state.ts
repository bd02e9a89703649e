import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '@qmpilot/core';
import { isGone, ownerText, replaceFile, stateRoot } from '@qmpilot/core/internal';

/** Facts about a named VM that do not need its daemon: `vm.json` in its directory. */
export interface VmRecord {
  readonly v: 1;
  readonly name: string;
  readonly guest: string;
  readonly createdAt: string;
  /** The snapshot that it starts from instead of booting, if there is one: its log does not have the boot then. */
  readonly loaded?: string | undefined;
  /** Set by its daemon when it ends. */
  readonly ended?: { readonly at: string; readonly reason: string };
}

export interface NamedVm {
  readonly record: VmRecord;
  readonly directory: string;
  readonly socket: string;
  /** `gone`: its daemon was killed. */
  readonly life: 'running' | 'ended' | 'gone';
}

/** Linux: 108 bytes with the final NUL (unix(7)). */
const MAX_SOCKET_PATH = 107;
/** A daemon notes itself within this time of the claim of its name. */
const STARTING_MS = 20_000;
/** Which process is the daemon: it listens on its socket only when the guest has booted. */
const DAEMON_FILE = 'daemon.pid';

/** @throws {USAGE} */
export function checkName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) return;
  throw new QmpilotError('USAGE', `invalid VM name ${JSON.stringify(name)}`, {
    hint: 'use up to 63 letters, digits, ".", "_" and "-"; begin with a letter or digit',
  });
}

export function directoryOf(name: string): string {
  checkName(name);
  return join(stateRoot(), 'vms', name);
}

export function socketOf(directory: string): string {
  return join(directory, 'daemon.sock');
}

/**
 * Claims a name: creates its directory atomically, and removes what an ended VM of that name left.
 * @throws {ALREADY_EXISTS} when a VM of that name is running
 * @throws {USAGE} when others could access the directory
 */
export async function claim(record: VmRecord): Promise<string> {
  const directory = directoryOf(record.name);
  if (Buffer.byteLength(socketOf(directory)) > MAX_SOCKET_PATH) {
    throw new QmpilotError(
      'USAGE',
      `the path of the VM's socket is longer than ${MAX_SOCKET_PATH} bytes: ${socketOf(directory)}`,
      { hint: 'set QMPILOT_STATE to a shorter path' },
    );
  }
  const parent = join(stateRoot(), 'vms');
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await mustBeOurs(parent);
  const fresh = await mkdtemp(join(parent, '.new-'));
  try {
    await writeFile(join(fresh, 'vm.json'), `${JSON.stringify(record)}\n`, { mode: 0o600 });
    const known = await find(record.name);
    if (known && known.life !== 'running') await rm(directory, { recursive: true, force: true });
    // Fails when another process has claimed the name in the meantime.
    await rename(fresh, directory);
    return directory;
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true });
    if (!(cause instanceof Error && 'code' in cause && (cause.code === 'ENOTEMPTY' || cause.code === 'EEXIST')))
      throw cause;
    throw new QmpilotError('ALREADY_EXISTS', `the VM ${record.name} already exists`, {
      cause,
      hint: `choose another name, or end that VM: qmpilot stop ${record.name}`,
    });
  }
}

/** Notes that this process is the daemon of a VM, so that the VM is known to be starting however long its boot takes. */
export async function noteDaemon(directory: string): Promise<void> {
  await writeFile(join(directory, DAEMON_FILE), ownerText(), { mode: 0o600 });
}

/** Records the end of a VM; its console.log remains for `qmpilot logs`. */
export async function markEnded(directory: string, record: VmRecord, reason: string): Promise<void> {
  await rm(socketOf(directory), { force: true });
  const ended = { at: new Date().toISOString(), reason };
  await replaceFile(join(directory, 'vm.json'), `${JSON.stringify({ ...record, ended })}\n`);
}

export async function find(name: string): Promise<NamedVm | undefined> {
  const directory = directoryOf(name);
  const record = await readRecord(directory);
  if (!record) return undefined;
  const socket = socketOf(directory);
  if (record.ended) return { record, directory, socket, life: 'ended' };
  const { canConnect } = await import('./client-socket.js');
  const alive = (await canConnect(socket)) || (!(await exists(socket)) && (await isStarting(directory, record)));
  return { record, directory, socket, life: alive ? 'running' : 'gone' };
}

async function isStarting(directory: string, { createdAt }: VmRecord): Promise<boolean> {
  const daemon = await readFile(join(directory, DAEMON_FILE), 'utf8').catch(() => undefined);
  return daemon === undefined ? Date.now() - Date.parse(createdAt) < STARTING_MS : !isGone(daemon);
}

/** All named VMs, sorted by name. */
export async function list(): Promise<NamedVm[]> {
  const names = await readdir(join(stateRoot(), 'vms')).catch((): string[] => []);
  const found = await Promise.all(
    names
      .filter((name) => !name.startsWith('.'))
      .sort()
      .map((name) => find(name).catch(() => undefined)),
  );
  return found.filter((vm) => vm !== undefined);
}

/**
 * @throws {NOT_FOUND} when there is no VM of that name
 */
export async function requireVm(name: string): Promise<NamedVm> {
  const vm = await find(name);
  if (!vm) {
    const names = (await list()).filter(({ life }) => life === 'running').map(({ record }) => record.name);
    throw new QmpilotError('NOT_FOUND', `VM ${name} not found`, {
      hint: names.length > 0 ? `running VMs: ${names.join(', ')}` : `boot one: qmpilot boot --name ${name} debian`,
    });
  }
  return vm;
}

/**
 * @throws {NOT_FOUND} when there is no VM of that name, or it has ended
 */
export async function requireRunning(name: string): Promise<NamedVm> {
  const vm = await requireVm(name);
  if (vm.life === 'running') return vm;
  if (vm.life === 'gone') await rm(vm.directory, { recursive: true, force: true });
  const why =
    vm.life === 'gone' ? 'its daemon was killed; its state is now removed' : (vm.record.ended?.reason ?? 'it ended');
  throw new QmpilotError('NOT_FOUND', `the VM ${name} has ended: ${why}`, {
    hint: `boot it again: qmpilot boot --name ${name} ...`,
  });
}

async function readRecord(directory: string): Promise<VmRecord | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(join(directory, 'vm.json'), 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is VmRecord {
  return (
    typeof value === 'object' &&
    value !== null &&
    'v' in value &&
    value.v === 1 &&
    'name' in value &&
    'guest' in value &&
    'createdAt' in value
  );
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function mustBeOurs(path: string): Promise<void> {
  const { uid, mode } = await lstat(path);
  if (uid === process.getuid?.() && (mode & 0o077) === 0) return;
  throw new QmpilotError('USAGE', `${path} belongs to another user, or is accessible to others`, {
    hint: `chmod 700 ${path}, or set QMPILOT_STATE to a directory of your own`,
  });
}

import { spawn, type ChildProcess } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { acquireHostDirectories, releaseHostDirectories } from './directories.js';

/** Larger than any pid of Linux (PID_MAX_LIMIT is 2^22). */
const NOBODY = 99_999_999;
const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const PLACE = `${readlinkSync('/proc/self/ns/pid')} ${BOOT}`;

let parent: string;
let sleeper: ChildProcess;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'sweep-test-'));
  vi.stubEnv('TMPDIR', parent);
  vi.stubEnv('QMPILOT_RAM_DIR', parent);
  sleeper = spawn('sleep', ['600'], { stdio: 'ignore' });
});
afterEach(() => {
  vi.unstubAllEnvs();
  sleeper.kill('SIGKILL');
  rmSync(parent, { recursive: true, force: true });
});

function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** A folder as a controller leaves it that was killed together with its reaper. */
function left(name: string, owner = `${NOBODY} 1 ${PLACE}\n`, pids: Readonly<Record<string, string>> = {}): string {
  const path = join(parent, name);
  mkdirSync(path, { mode: 0o700 });
  writeFileSync(join(path, 'owner'), owner);
  for (const [file, text] of Object.entries(pids)) writeFileSync(join(path, `${file}.pid`), text);
  return path;
}

async function sweep(): Promise<void> {
  await acquireHostDirectories();
  await releaseHostDirectories();
}

const ended = () => new Promise<unknown>((resolve) => sleeper.once('exit', (_code, signal) => resolve(signal)));

describe('the sweep of what dead controllers left', () => {
  it('removes it, and ends what still runs in it', async () => {
    const end = ended();
    const path = left('qmpilot-dead', undefined, { a: `${sleeper.pid} ${startOf(sleeper.pid ?? 0)}\n` });
    await sweep();
    expect(existsSync(path)).toBe(false);
    expect(await end).toBe('SIGKILL');
  });

  it('removes the folder of a controller that was killed before it wrote whose it is, and none with files', async () => {
    const make = (name: string, mode = 0o700) => {
      const path = join(parent, name);
      mkdirSync(path, { mode });
      return path;
    };
    const empty = make('qmpilot-a1B2c3');
    const others = [make('qmpilot-d4E5f6'), make('qmpilot-of-a-user'), make('qmpilot-builds', 0o755)];
    writeFileSync(join(others[0] ?? '', 'file'), '');
    await sweep();
    expect(existsSync(empty)).toBe(false);
    expect(others.map((path) => existsSync(path))).toEqual([true, true, true]);
  });

  it.each<[string, (pid: number) => string]>([
    ['a pid that another process has now', (pid) => `${pid} 1\n`],
    ['a pid that was cut off before its start time', (pid) => `${pid}`],
    ['a pid that is none, and no start time', () => `${NOBODY}`],
    ['no number', () => '../1 \n'],
    ['nothing', () => ''],
  ])('ends no process by %s', async (_what, text) => {
    const path = left('qmpilot-dead', undefined, { a: text(sleeper.pid ?? 0) });
    await sweep();
    expect([existsSync(path), sleeper.exitCode, sleeper.signalCode]).toEqual([false, null, null]);
    expect(existsSync(`/proc/${sleeper.pid}/stat`)).toBe(true);
  });

  it.each([
    ['a controller that lives', () => `${process.pid} ${startOf(process.pid)} ${PLACE}\n`],
    ['a controller in another container, whose pids are not seen here', () => `${NOBODY} 1 pid:[1] ${BOOT}\n`],
    ['one whose note is not written yet', () => ''],
  ])('keeps the folder of %s', async (_what, owner) => {
    const path = left('qmpilot-alive', owner());
    await sweep();
    expect(existsSync(path)).toBe(true);
  });

  it('keeps files of another user with such a name, and follows no link', async () => {
    const elsewhere = left('elsewhere');
    symlinkSync(elsewhere, join(parent, 'qmpilot-link'));
    writeFileSync(join(parent, 'qmpilot-file'), '');
    const others = left('qmpilot-others');
    if (process.getuid?.() === 0) chownSync(others, 65_534, 65_534);
    await sweep();
    expect(
      [elsewhere, join(parent, 'qmpilot-link'), join(parent, 'qmpilot-file')].map((path) => existsSync(path)),
    ).toEqual([true, true, true]);
    if (process.getuid?.() === 0) expect(existsSync(others)).toBe(true);
  });
});

describe('the folders of a controller', () => {
  it('have mode 0700 whatever the umask, and are removed', async () => {
    const umask = process.umask(0);
    try {
      const { disk, memory } = await acquireHostDirectories();
      expect([disk, memory].map((path) => statSync(path).mode & 0o777)).toEqual([0o700, 0o700]);
      expect(statSync(join(disk, 'owner')).mode & 0o777).toBe(0o600);
      await releaseHostDirectories();
      expect(existsSync(disk)).toBe(false);
    } finally {
      process.umask(umask);
    }
  });
});

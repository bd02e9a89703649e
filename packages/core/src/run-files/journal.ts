import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { QmpilotError } from '../errors.js';
import { Mutex } from '../util/async/mutex.js';
import { lockFile } from '../util/files/file-lock.js';
import { AttemptFiles } from './attempt-files.js';
import type { AttemptRecord, RunSummary } from './attempt-record.js';
import { parseAttempts } from './attempts-file.js';
import { attemptFolder } from './checkpoint-paths.js';
import { parseRunFile, type RunFile } from './run-file.js';
import { appendLine, cannotWrite, replaceFile, writeAll } from './write.js';

/** A controller that was killed a moment ago may still hold the lock. */
const LOCK_TIMEOUT_MS = 2000;

const ATTEMPTS = 'attempts.jsonl';

/**
 * A run directory that is being written, by this process alone. attempts.jsonl is the truth: one line for each finished attempt,
 * synced.
 */
export class Journal {
  readonly dir: string;
  /** Set by `reopen` when a line that was cut off has been removed. */
  readonly repaired: boolean;
  readonly #fd: number;
  #size: number;
  #run: RunFile;
  readonly #records: AttemptRecord[];
  readonly #updates = new Mutex('run.json');

  private constructor(dir: string, fd: number, run: RunFile, records: readonly AttemptRecord[] = [], repaired = false) {
    this.dir = dir;
    this.repaired = repaired;
    this.#fd = fd;
    this.#size = fstatSync(fd).size;
    this.#run = run;
    this.#records = [...records];
  }

  /**
   * The directory may be there when it is empty, or holds no more than what a start that was killed before run.json left.
   * @throws {USAGE} when anything else is in it, another process works there, or it is another user's
   * @throws {NO_SPACE} {IO} when it cannot be made or written
   */
  static async create(dir: string, run: RunFile): Promise<Journal> {
    const path = resolve(dir);
    let fd: number | undefined;
    try {
      if (!(await makeDirectory(path))) await mustBeOurs(path);
      if (!(await isFresh(path))) throw notEmpty(path);
      fd = openAttempts(path);
      if (!(await lockFile(fd, path, { patience: LOCK_TIMEOUT_MS }))) throw inUse(path);
      // Only now: another process may have begun a run here until a moment ago.
      if (!(await isFresh(path))) throw notEmpty(path);
      await mkdir(join(path, 'attempts'), { recursive: true, mode: 0o700 });
      const journal = new Journal(path, fd, run);
      await journal.update({});
      return journal;
    } catch (cause) {
      if (fd !== undefined) closeSync(fd);
      throw cannotWrite(path, cause);
    }
  }

  /**
   * Opens the directory of a run that ended early. A last line that was cut off is removed.
   * @throws {USAGE} when it is not a run directory, is damaged, or another process works in it
   */
  static async reopen(dir: string): Promise<Journal> {
    const path = resolve(dir);
    const run = await readRunFile(path);
    let fd: number | undefined;
    try {
      fd = openAttempts(path);
      if (!(await lockFile(fd, path, { patience: LOCK_TIMEOUT_MS }))) throw inUse(path);
      // Only now: the other process may have written until a moment ago.
      const bytes = await readFile(join(path, ATTEMPTS));
      const { records, wholeBytes, endsOpen } = parseAttempts(bytes, join(path, ATTEMPTS));
      ftruncateSync(fd, wholeBytes);
      if (endsOpen) writeAll(fd, Buffer.from('\n'));
      await mkdir(join(path, 'attempts'), { recursive: true, mode: 0o700 });
      return new Journal(path, fd, await readRunFile(path).catch(() => run), records, wholeBytes < bytes.length);
    } catch (cause) {
      if (fd !== undefined) closeSync(fd);
      throw cannotWrite(path, cause);
    }
  }

  get run(): RunFile {
    return this.#run;
  }

  /** The attempts that are finished. */
  get records(): readonly AttemptRecord[] {
    return this.#records;
  }

  /** Changes run.json; of updates at the same time, one is written after the other. */
  async update(change: Partial<RunFile>): Promise<void> {
    this.#run = { ...this.#run, ...change };
    await this.#updates.run('update', {}, () =>
      replaceFile(this.dir, 'run.json', `${JSON.stringify(this.#run, null, 2)}\n`),
    );
  }

  /** The folder and files of one attempt; what an attempt that did not finish left there goes. */
  async begin(index: number, now: () => number, onFailure: (error: unknown) => void): Promise<AttemptFiles> {
    return new AttemptFiles(await this.folderOf(index), now, onFailure);
  }

  /** The same for boot and `prepare`. */
  async beginPrepare(now: () => number, onFailure: (error: unknown) => void): Promise<AttemptFiles> {
    return new AttemptFiles(await this.#folder('prepare'), now, onFailure);
  }

  /** Returns the folder of one attempt, empty. */
  folderOf(index: number): Promise<string> {
    return this.#folder(attemptFolder(index));
  }

  /** @throws {NO_SPACE} when it cannot be written; the attempts before are whole */
  append(record: AttemptRecord): void {
    try {
      this.#size = appendLine(this.#fd, JSON.stringify(record), this.#size);
    } catch (cause) {
      throw cannotWrite(this.dir, cause);
    }
    this.#records.push(record);
  }

  async finish(summary: RunSummary, junit: string): Promise<void> {
    await replaceFile(this.dir, 'summary.json', `${JSON.stringify(summary, null, 2)}\n`);
    await replaceFile(this.dir, 'junit.xml', junit);
  }

  /** Ends the lock, too. */
  close(): void {
    closeSync(this.#fd);
  }

  async #folder(name: string): Promise<string> {
    const path = join(this.dir, name);
    try {
      await rm(path, { recursive: true, force: true });
      await mkdir(path, { mode: 0o700 });
      return path;
    } catch (cause) {
      throw cannotWrite(this.dir, cause);
    }
  }
}

function openAttempts(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  return openSync(join(path, ATTEMPTS), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
}

/** The owner of a folder can replace files in it by links to other files of this user. */
async function mustBeOurs(path: string): Promise<void> {
  if ((await stat(path)).uid === process.getuid?.()) return;
  throw new QmpilotError('USAGE', `${path} belongs to another user`, {
    hint: 'name a folder that does not exist yet, or one of your own, by --out',
  });
}

/** Holds nothing, or what is there for a moment while a run begins: run.json comes last. */
async function isFresh(path: string): Promise<boolean> {
  const isEmpty = {
    [ATTEMPTS]: async (file: string) => ((info) => info.isFile() && info.size === 0)(await lstat(file)),
    'attempts': async (folder: string) => (await lstat(folder)).isDirectory() && (await readdir(folder)).length === 0,
    'run.json.partial': async (file: string) => (await lstat(file)).isFile(),
  };
  for (const name of await readdir(path))
    if (!isKey(isEmpty, name) || !(await isEmpty[name](join(path, name)))) return false;
  return true;
}

function isKey<T extends object>(object: T, key: PropertyKey): key is keyof T {
  return Object.hasOwn(object, key);
}

/** @throws {USAGE} when there is none, or it is damaged */
export async function readRunFile(dir: string): Promise<RunFile> {
  const path = join(resolve(dir), 'run.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const begun = await isFresh(dirname(path)).catch(() => false);
    throw new QmpilotError('USAGE', `${path} cannot be read`, {
      cause,
      hint: begun
        ? 'a run that was killed before its first attempt cannot be continued: start it again, with --out and the same folder'
        : 'name a folder that qmpilot repro wrote',
    });
  }
  return parseRunFile(text, path);
}

/** Whether it was not there. On a read-only file system a recursive mkdir of Node.js says ENOENT; a plain one says why. */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    return (await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined;
  } catch {
    await mkdir(path, { mode: 0o700 });
    return true;
  }
}

function notEmpty(path: string): QmpilotError {
  return new QmpilotError('USAGE', `${path} is not empty`, {
    hint: 'name another run directory by --out, or continue with the run in it by --resume',
  });
}

function inUse(path: string): QmpilotError {
  return new QmpilotError('USAGE', `another qmpilot process uses ${path}`, {
    hint: 'wait for it, or name another run directory by --out',
  });
}

import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import { AttemptFiles } from '../../run-files/attempt-files.js';
import type { Outcome } from '../../run-files/attempt-record.js';
import { parseJson, parseJsonLines } from '../../run-files/salvage.js';
import { WHEN_FILE, type WhenResult } from '../../run-files/when-file.js';
import { appendLine, cannotWrite, replaceFile } from '../../run-files/write.js';
import { lockFile } from '../../util/files/file-lock.js';

/** A controller that was killed a moment ago may still hold the lock. */
const LOCK_TIMEOUT_MS = 2000;
const FORKS = 'forks.jsonl';
const ABOUT = 'about.json';

const FORK_SCHEMA = v.object({
  v: v.literal(1),
  type: v.literal('fork'),
  checkpoint: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  ordinal: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  outcome: v.picklist(['reproduced', 'clean', 'inconclusive']),
  ms: v.number(),
  seed: v.number(),
  timeToFailureMs: v.exactOptional(v.number()),
  signature: v.exactOptional(v.string()),
  title: v.exactOptional(v.string()),
  reason: v.exactOptional(v.string()),
});

/** One finished fork: a line of forks.jsonl. */
export interface WhenFork {
  readonly v: 1;
  readonly type: 'fork';
  /** Number of the checkpoint that it started from. */
  readonly checkpoint: number;
  /** Its number among the forks of that checkpoint, from 0. */
  readonly ordinal: number;
  readonly outcome: Outcome;
  readonly ms: number;
  readonly seed: number;
  /** Until the first finding of severity `error`, in ms since the fork began. */
  readonly timeToFailureMs?: number;
  /** Signature and title of that finding. */
  readonly signature?: string;
  readonly title?: string;
  /** Why it has no verdict, or with which the scenario ended it. */
  readonly reason?: string;
}

/** What all forks of a journal have in common. */
export interface WhenAbout {
  readonly v: 1;
  /** Hash of the scenario that judges the forks. */
  readonly source?: string | undefined;
}

/** The folder `when` of an attempt, which one process writes. forks.jsonl has one line for each finished fork, synced. */
export class WhenJournal {
  readonly dir: string;
  readonly #fd: number;
  #size: number;
  readonly #forks: WhenFork[];

  private constructor(dir: string, fd: number, forks: readonly WhenFork[]) {
    this.dir = dir;
    this.#fd = fd;
    this.#size = fstatSync(fd).size;
    this.#forks = [...forks];
  }

  /**
   * Opens the folder, or makes it. A last line that was cut off is removed.
   * @param fresh removes forks that were made before
   * @throws {USAGE} when another process works there, or other forks were judged by another scenario
   * @throws {NO_SPACE} {IO}
   */
  static async open(
    dir: string,
    about: WhenAbout,
    { fresh, acceptChanges }: { readonly fresh: boolean; readonly acceptChanges: boolean },
  ): Promise<WhenJournal> {
    let fd: number | undefined;
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
      fd = openSync(join(dir, FORKS), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
      if (!(await lockFile(fd, dir, { patience: LOCK_TIMEOUT_MS })))
        throw new QmpilotError('USAGE', `another qmpilot process uses ${dir}`, { hint: 'wait for it' });
      if (fresh) {
        ftruncateSync(fd, 0);
        for (const name of ['forks', WHEN_FILE, ABOUT]) await rm(join(dir, name), { recursive: true, force: true });
      }
      const before = parseJson(await readFile(join(dir, ABOUT), 'utf8').catch(() => ''));
      const known = v.is(v.object({ source: v.exactOptional(v.string()) }), before) ? before.source : undefined;
      const bytes = await readFile(join(dir, FORKS));
      const whole = bytes.lastIndexOf(0x0a) + 1;
      ftruncateSync(fd, whole);
      const forks = parseJsonLines(bytes.subarray(0, whole).toString('utf8')).objects.filter((one) => isFork(one));
      if (forks.length > 0 && known !== about.source && !acceptChanges)
        throw new QmpilotError('USAGE', 'the scenario is not the one that judged the forks which were made before', {
          hint: 'begin again by --fresh, or accept it by --accept-changes',
        });
      await replaceFile(dir, ABOUT, `${JSON.stringify(about)}\n`);
      return new WhenJournal(dir, fd, forks);
    } catch (cause) {
      if (fd !== undefined) closeSync(fd);
      throw cannotWrite(dir, cause);
    }
  }

  /** The forks that are finished. */
  get forks(): readonly WhenFork[] {
    return this.#forks;
  }

  /** @throws {NO_SPACE} when it cannot be written; the forks before are whole */
  append(fork: WhenFork): void {
    try {
      this.#size = appendLine(this.#fd, JSON.stringify(fork), this.#size);
    } catch (cause) {
      throw cannotWrite(this.dir, cause);
    }
    this.#forks.push(fork);
  }

  /** Returns the folder of one fork, empty. @throws {NO_SPACE} {IO} */
  async folderOf({ checkpoint, ordinal }: Pick<WhenFork, 'checkpoint' | 'ordinal'>): Promise<string> {
    const name = [checkpoint, ordinal + 1].map((number) => String(number).padStart(3, '0')).join('-');
    const path = join(this.dir, 'forks', name);
    try {
      await rm(path, { recursive: true, force: true });
      await mkdir(path, { recursive: true, mode: 0o700 });
      return path;
    } catch (cause) {
      throw cannotWrite(this.dir, cause);
    }
  }

  /** Opens the files of one fork; those of one that did not finish are removed. */
  async begin(
    fork: Pick<WhenFork, 'checkpoint' | 'ordinal'>,
    now: () => number,
    onFailure: (error: unknown) => void,
  ): Promise<AttemptFiles> {
    return new AttemptFiles(await this.folderOf(fork), now, onFailure);
  }

  async finish(result: WhenResult): Promise<void> {
    await replaceFile(this.dir, WHEN_FILE, `${JSON.stringify(result, null, 2)}\n`);
  }

  /** Ends the lock, too. */
  close(): void {
    closeSync(this.#fd);
  }
}

function isFork(value: unknown): value is WhenFork {
  return v.is(FORK_SCHEMA, value);
}

import { closeSync, constants, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../errors.js';
import { replaceFile } from '../util/files/atomic-write.js';
import { lockFile } from '../util/files/file-lock.js';
import { errnoOf, hostError } from '../util/files/host-error.js';

/** What a bisection is about: `bisection.json`. */
const ABOUT = v.object({
  v: v.literal(1),
  /** Stands for this bisection where the scenario has no hash. */
  id: v.string(),
  startedAt: v.string(),
  /** Missing when kernels are bisected. */
  repo: v.optional(v.string()),
  /** The kernels that the mirror had when the bisection began, the oldest first. */
  kernels: v.optional(
    v.object({
      pattern: v.string(),
      suite: v.string(),
      packages: v.array(v.object({ id: v.string(), version: v.string() })),
    }),
  ),
  good: v.string(),
  bad: v.string(),
  alsoGood: v.optional(v.array(v.string())),
  skip: v.optional(v.array(v.string())),
  paths: v.array(v.string()),
  build: v.optional(v.string()),
  install: v.optional(v.string()),
  rate: v.optional(v.number()),
  background: v.optional(v.number()),
  certainty: v.number(),
  maxEndAttempts: v.number(),
  signature: v.optional(v.string()),
  source: v.optional(v.object({ file: v.string(), sha256: v.string() })),
});

const BUILD = v.object({
  type: v.literal('build'),
  commit: v.string(),
  /** Missing when the build failed. */
  id: v.optional(v.string()),
  reason: v.optional(v.string()),
  ms: v.number(),
  /** The part of this time that passed during attempts on another commit. */
  aheadMs: v.optional(v.number()),
});

const ATTEMPTS = v.object({
  type: v.literal('attempts'),
  purpose: v.picklist(['ends', 'search', 'confirmation', 'revert']),
  commit: v.string(),
  /** Attempts that were asked for. */
  wanted: v.number(),
  /** For each attempt the signatures of its failures, or null when it was inconclusive. */
  attempts: v.array(v.nullable(v.array(v.string()))),
  /** Reason why the build cannot be tried: it does not boot. */
  unusable: v.optional(v.string()),
  ms: v.number(),
  /** Time of the attempts themselves. */
  attemptsMs: v.number(),
  /** Time until the guest was ready, when it was booted. */
  bootMs: v.optional(v.number()),
  /** The prepared guest is cached: more attempts need no boot. */
  cached: v.boolean(),
});

const LINE = v.variant('type', [BUILD, ATTEMPTS]);

export type About = v.InferOutput<typeof ABOUT>;
export type BuildLine = v.InferOutput<typeof BUILD>;
export type AttemptsLine = v.InferOutput<typeof ATTEMPTS>;
type Line = v.InferOutput<typeof LINE>;

const FILE = 'steps.jsonl';

/** Another process that was killed a moment ago may still hold the lock. */
const LOCK_TIMEOUT_MS = 2000;

/**
 * The directory of a bisection: what it is about, and one synced line for each build and each series of attempts. All decisions
 * follow from these lines, so that a bisection is resumed by making them again: `next` returns what was seen then.
 */
export class BisectJournal {
  readonly dir: string;
  readonly about: About;
  readonly #fd: number;
  readonly #lines: Line[];
  #position = 0;

  private constructor(dir: string, about: About, fd: number, lines: readonly Line[]) {
    this.dir = dir;
    this.about = about;
    this.#fd = fd;
    this.#lines = [...lines];
  }

  /** @throws {USAGE} when the directory is not empty, {IO} {NO_SPACE} */
  static async create(dir: string, about: About): Promise<BisectJournal> {
    const path = resolve(dir);
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      if ((await readdir(path)).length > 0)
        throw new QmpilotError('USAGE', `the directory ${path} is not empty`, {
          hint: 'name another one, or continue the bisection in it with resume',
        });
      const fd = await lockedFile(path);
      try {
        await mkdir(join(path, 'builds'), { mode: 0o700 });
        await mkdir(join(path, 'runs'), { mode: 0o700 });
        await replaceFile(join(path, 'bisection.json'), `${JSON.stringify(about, null, 2)}\n`);
        return new BisectJournal(path, about, fd, []);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    } catch (cause) {
      throw cause instanceof QmpilotError ? cause : hostError(`cannot create ${path}`, cause);
    }
  }

  /** @throws {USAGE} when it is no bisection, is damaged, or another process works in it */
  static async reopen(dir: string): Promise<BisectJournal> {
    const path = resolve(dir);
    const about = await readAbout(path);
    const fd = await lockedFile(path);
    try {
      const text = readFileSync(join(path, FILE), 'utf8');
      // A line that was cut off when the process was killed.
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      ftruncateSync(fd, Buffer.byteLength(whole));
      return new BisectJournal(
        path,
        about,
        fd,
        whole
          .split('\n')
          .filter(Boolean)
          .map((line) => parseLine(line, path)),
      );
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Number of steps that have been made or read. */
  get position(): number {
    return this.#position;
  }

  /** Whether the next step was made by an earlier session. */
  get replays(): boolean {
    return this.#position < this.#lines.length;
  }

  /** The lines up to now. */
  get past(): readonly Line[] {
    return this.#lines.slice(0, this.#position);
  }

  async build(commit: string, make: () => Promise<BuildLine>): Promise<BuildLine> {
    const line = await this.#next(make);
    if (line.type === 'build' && line.commit === commit) return line;
    throw this.#differs();
  }

  async attempts(
    wanted: Pick<AttemptsLine, 'purpose' | 'commit' | 'wanted'>,
    make: () => Promise<AttemptsLine>,
  ): Promise<AttemptsLine> {
    const line = await this.#next(make);
    const fits =
      line.type === 'attempts' &&
      line.purpose === wanted.purpose &&
      line.commit === wanted.commit &&
      line.wanted === wanted.wanted;
    if (fits) return line;
    throw this.#differs();
  }

  async #next(make: () => Promise<Line>): Promise<Line> {
    const known = this.#lines[this.#position];
    if (known) {
      this.#position += 1;
      return known;
    }
    const line = await make();
    try {
      writeSync(this.#fd, `${JSON.stringify(line)}\n`);
      fsyncSync(this.#fd);
    } catch (cause) {
      throw hostError(`cannot write ${join(this.dir, FILE)}`, cause);
    }
    this.#lines.push(line);
    this.#position += 1;
    return line;
  }

  #differs(): QmpilotError {
    return new QmpilotError(
      'USAGE',
      `step ${this.#position} in ${join(this.dir, FILE)} is not the one that follows here`,
      {
        hint: 'the repository or qmpilot has changed since: start another bisection',
      },
    );
  }

  /** Ends the lock, too. */
  close(): void {
    closeSync(this.#fd);
  }
}

async function lockedFile(path: string): Promise<number> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const fd = openSync(join(path, FILE), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    if (await lockFile(fd, path, { patience: LOCK_TIMEOUT_MS })) return fd;
    throw new QmpilotError('USAGE', `another process works in ${path}`, { hint: 'wait until it ends' });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** @throws {USAGE} when the directory is not that of a bisection */
export async function readAbout(path: string): Promise<About> {
  const file = join(resolve(path), 'bisection.json');
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    if (errnoOf(cause) !== 'ENOENT') throw hostError(`cannot read ${file}`, cause);
    throw new QmpilotError('USAGE', `${path} is not the directory of a bisection: it has no bisection.json`, { cause });
  });
  return parsed(ABOUT, text, file);
}

function parseLine(line: string, path: string): Line {
  return parsed(LINE, line, join(path, FILE));
}

function parsed<T>(schema: v.GenericSchema<unknown, T>, text: string, file: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Reported below.
  }
  const { success, output } = v.safeParse(schema, value);
  if (success) return output as T;
  throw new QmpilotError('USAGE', `${file} is damaged, or of another version of qmpilot`);
}

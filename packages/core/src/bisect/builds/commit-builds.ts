import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, readdir, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { runGroup } from '../../guests/build/run-group.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { requireProgram } from '../../util/files/which.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Repository } from '../git/git.js';
import type { BuildLine } from '../journal.js';
import type { BisectEvent } from '../options.js';
import type { Builder, BuildRequest } from './builder.js';

/** Exit statuses of a shell that cannot run a command. */
const NO_COMMAND: ReadonlySet<number | string> = new Set([126, 127]);

interface CommitBuildsOptions {
  readonly repository: Repository;
  /** The directory of the bisection. */
  readonly dir: string;
  readonly command: string;
  readonly signal: AbortSignal | undefined;
  readonly tell: (event: BisectEvent) => void;
}

/** Builds commits in a worktree of its own, one after the other, so that each build can use what the one before left. */
export class CommitBuilds implements Builder {
  readonly #options: CommitBuildsOptions;
  readonly #worktree: string;
  #ready = false;

  constructor(options: CommitBuildsOptions) {
    this.#options = options;
    this.#worktree = join(options.dir, 'source');
  }

  /** Returns the directory of a commit's build. */
  directory(commit: string): string {
    return join(this.#options.dir, 'builds', commit);
  }

  /**
   * Waits until builds have ended that a killed session left running, and removes its worktree.
   * A build holds the lock of its file, with all processes that it started.
   */
  async recover(): Promise<void> {
    const { dir, repository, signal, tell } = this.#options;
    const flock = await requireProgram('flock', 'on Debian: apt-get install util-linux');
    for (const name of await readdir(join(dir, 'builds'))) {
      if (!name.endsWith('.lock')) continue;
      const path = join(dir, 'builds', name);
      tell({ type: 'progress', message: `waiting until the interrupted build of ${name.slice(0, 12)} has ended` });
      await runGroup({
        program: flock,
        args: ['-x', path, 'true'],
        env: {},
        cwd: dir,
        what: 'the end of an interrupted build',
        onLine: () => {},
        signal,
      });
      await rm(path, { force: true });
    }
    await repository.removeWorktree(this.#worktree);
    await this.#removeFiles();
  }

  /**
   * Builds a commit. The line of one whose build fails has a reason in place of an id; for an end it is an error.
   * @throws {USAGE} when the shell cannot run the command for an end, or the command leaves nothing in QMPILOT_OUT
   * @throws {GUEST_BUILD} when an end does not build
   * @throws {ABORTED}: its processes are gone
   */
  async build(commit: string, request: BuildRequest): Promise<BuildLine> {
    await this.#checkOut(commit);
    return this.#build({ ...request, commit, name: commit });
  }

  /** Builds a commit in which another one is reverted. The line is that of `name`, which stands for it. */
  async buildReverted(commit: string, culprit: string, name: string): Promise<BuildLine> {
    const begun = monotonicMs();
    await this.#checkOut(commit);
    if (await this.#options.repository.revert(this.#worktree, culprit))
      return this.#build({ commit, name, isEnd: false, signal: this.#options.signal });
    const reason = 'it does not revert cleanly';
    return { type: 'build', commit: name, reason, ms: Math.round(monotonicMs() - begun) };
  }

  async #build({
    commit,
    name,
    isEnd,
    signal,
    ahead = false,
  }: BuildRequest & { readonly commit: string; readonly name: string }): Promise<BuildLine> {
    const { command, tell } = this.#options;
    const begun = monotonicMs();
    const out = this.directory(name);
    const lock = `${out}.lock`;
    await removeDirectory(out);
    await mkdir(out, { recursive: true, mode: 0o700 });
    const flock = await requireProgram('flock', 'on Debian: apt-get install util-linux');
    const args = ['-x', lock, 'sh', '-c', command];
    const { status, lines } = await runGroup({
      ...(ahead ? { program: 'nice', args: ['-n', '19', flock, ...args] } : { program: flock, args }),
      env: { QMPILOT_OUT: out, QMPILOT_COMMIT: commit },
      cwd: this.#worktree,
      what: `the build of ${commit.slice(0, 12)}`,
      onLine: (line) => tell({ type: 'build-output', commit, line }),
      signal,
    }).catch(async (error: unknown) => {
      if (ahead) {
        await removeDirectory(out);
        await rm(lock, { force: true });
      }
      throw error;
    });
    await rm(lock, { force: true });
    const ms = Math.round(monotonicMs() - begun);
    const tail = lines.slice(-10);
    if (status === 0) {
      const id = await hashOfTree(out);
      if (id !== undefined) return { type: 'build', commit: name, id, ms };
    }
    await removeDirectory(out);
    if (isEnd) throw endError(commit, status, tail);
    return { type: 'build', commit: name, reason: [reasonOf(status), ...tail.slice(-1)].join(': '), ms };
  }

  /** Removes the worktree. */
  async close(): Promise<void> {
    if (!this.#ready) return;
    await this.#options.repository.removeWorktree(this.#worktree);
    await this.#removeFiles();
  }

  async #checkOut(commit: string): Promise<void> {
    const { repository } = this.#options;
    if (this.#ready) return repository.checkOut(this.#worktree, commit);
    this.#ready = true;
    return repository.addWorktree(this.#worktree, commit);
  }

  async #removeFiles(): Promise<void> {
    await removeDirectory(this.#worktree);
    await this.#options.repository.pruneWorktrees();
  }
}

function reasonOf(status: number | string): string {
  if (status === 0) return 'its build left nothing in $QMPILOT_OUT';
  return `its build ended with ${typeof status === 'number' ? `exit status ${status}` : status}`;
}

function endError(commit: string, status: number | string, console: readonly string[]): QmpilotError {
  const last = console.at(-1);
  if (NO_COMMAND.has(status))
    return new QmpilotError('USAGE', `cannot run the build command: ${last ?? `exit status ${status}`}`, {
      hint: 'it runs by sh -c in a worktree of the repository: check its path and PATH',
      evidence: { console },
    });
  if (status === 0)
    return new QmpilotError('USAGE', `the build command left nothing in $QMPILOT_OUT for ${commit.slice(0, 12)}`, {
      hint: 'let it copy there what the scenario needs: --build \'make && cp program "$QMPILOT_OUT"\'',
      evidence: { console },
    });
  const message = [`cannot build the end ${commit.slice(0, 12)}`, reasonOf(status), ...console.slice(-1)].join(': ');
  return new QmpilotError('GUEST_BUILD', message, {
    hint: 'choose another good or bad revision, or correct the build command',
    evidence: { console },
  });
}

/** Returns a hash of all files below a directory, with their paths; undefined when there are none. */
async function hashOfTree(dir: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  let files = 0;
  const walk = async (path: string, name: string): Promise<void> => {
    for (const entry of (await readdir(path)).toSorted()) {
      const child = join(path, entry);
      const stats = await lstat(child);
      const label = JSON.stringify([`${name}/${entry}`, stats.mode & 0o170100]);
      if (stats.isDirectory()) {
        await walk(child, `${name}/${entry}`);
        continue;
      }
      files += 1;
      const content = createHash('sha256');
      if (stats.isSymbolicLink()) content.update(await readlink(child));
      else if (stats.isFile()) for await (const bytes of createReadStream(child)) content.update(bytes);
      hash.update(`${label}\0${content.digest('hex')}\n`);
    }
  };
  await walk(dir, '');
  return files === 0 ? undefined : hash.digest('hex').slice(0, 32);
}

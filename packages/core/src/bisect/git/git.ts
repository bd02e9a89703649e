import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AbortedError, QmpilotError } from '../../errors.js';
import type { HistoryCommit } from '../../statistics/bisection/history.js';
import { requireProgram } from '../../util/files/which.js';
import { isObject } from '../../util/validation/is-object.js';

const run = promisify(execFile);

/** The history of Linux between two releases is 2 MB. */
const MAX_OUTPUT = 512 * 1024 * 1024;

/** Hooks and monitors of the user's repository have no part in our worktrees. */
const CONFIG = ['-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-c', 'advice.detachedHead=false'];

/** A git repository, by the command git. */
export class Repository {
  readonly path: string;
  readonly #signal: AbortSignal | undefined;

  private constructor(path: string, signal: AbortSignal | undefined) {
    this.path = path;
    this.#signal = signal;
  }

  /** @throws {TOOL_MISSING} without git, {USAGE} when it is no repository */
  static async open(path: string, signal?: AbortSignal): Promise<Repository> {
    await requireProgram('git', 'on Debian: apt-get install git');
    const repository = new Repository(path, signal);
    const found = await repository.#try(['rev-parse', '--git-dir']);
    if (found !== undefined) return repository;
    throw new QmpilotError('USAGE', `${path} is not a git repository`, {
      hint: 'name the directory of the repository that is built',
    });
  }

  /** The id of the commit. @throws {USAGE} when there is none */
  async commit(revision: string): Promise<string> {
    const parse = (name: string) => this.#try(['rev-parse', '--verify', '--quiet', '--end-of-options', name]);
    // In two steps: a suffix would be part of the text of `:/text`.
    const object = await parse(revision);
    const id = object === undefined ? undefined : await parse(`${object.trim()}^{commit}`);
    if (id !== undefined) return id.trim();
    throw new QmpilotError('USAGE', `revision ${JSON.stringify(revision)} not found in ${this.path}`, {
      hint: 'fetch it, or check its name with git log',
    });
  }

  async isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    return (await this.#try(['merge-base', '--is-ancestor', ancestor, descendant])) !== undefined;
  }

  async mergeBase(one: string, other: string): Promise<string | undefined> {
    return (await this.#try(['merge-base', one, other]))?.trim();
  }

  /** All parents of a commit. */
  async parents(commit: string): Promise<readonly string[]> {
    return (await this.#run(['rev-list', '--parents', '--max-count=1', commit, '--'])).trim().split(' ').slice(1);
  }

  /** The commits that `bad` contains and no good one does, and that change one of the paths, with their parents among them. */
  async history(good: readonly string[], bad: string, paths: readonly string[] = []): Promise<HistoryCommit[]> {
    const simplify = paths.length === 0 ? [] : ['--full-history', '--simplify-merges'];
    const text = await this.#run([
      'rev-list',
      '--parents',
      ...simplify,
      bad,
      ...good.map((commit) => `^${commit}`),
      '--',
      ...paths,
    ]);
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' '))
      .map(([id = '', ...parents]) => ({ id, parents }));
  }

  /** The subjects of commits, by id. */
  async subjects(commits: readonly string[]): Promise<Map<string, string>> {
    if (commits.length === 0) return new Map();
    const text = await this.#run(['log', '--no-walk=unsorted', '--format=%H %s', ...new Set(commits), '--']);
    return new Map(
      text
        .split('\n')
        .filter(Boolean)
        .map((line): [string, string] => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
    );
  }

  /** Whether tracked files of the user's worktree differ from its commit. */
  async hasChanges(): Promise<boolean> {
    const text = await this.#try(['status', '--porcelain', '--untracked-files=no']);
    return text !== undefined && text.trim() !== '';
  }

  /** Makes a worktree of a commit; `checkOut` exchanges the commit. */
  async addWorktree(path: string, commit: string): Promise<void> {
    await this.#run(['worktree', 'add', '--quiet', '--force', '--detach', path, commit]);
  }

  /** Changes the files of a worktree; those that git does not track stay, as the next build uses them. */
  async checkOut(path: string, commit: string): Promise<void> {
    await this.#run(['checkout', '--quiet', '--force', '--detach', commit], path);
  }

  /** Reverts a commit in the files of a worktree; returns false when that does not apply cleanly. */
  async revert(path: string, commit: string): Promise<boolean> {
    return (await this.#try(['-c', 'rerere.enabled=false', 'revert', '--no-commit', commit], path)) !== undefined;
  }

  /** Removes a worktree, also a damaged one; does nothing when there is none. */
  async removeWorktree(path: string): Promise<void> {
    const free = new Repository(this.path, undefined);
    await free.#try(['worktree', 'remove', '--force', '--force', path]);
  }

  /** Makes git forget worktrees whose directory is gone. */
  async pruneWorktrees(): Promise<void> {
    await new Repository(this.path, undefined).#try(['worktree', 'prune']);
  }

  /** The output, or undefined when git ends with another exit status than 0. */
  async #try(args: readonly string[], directory = this.path): Promise<string | undefined> {
    try {
      return await this.#execute(args, directory);
    } catch (error) {
      if (this.#signal?.aborted) throw new AbortedError(`git ${args[0] ?? ''}`, this.#signal.reason);
      if (isObject(error) && typeof error['code'] === 'number') return undefined;
      throw gitError(args, error);
    }
  }

  /** @throws {USAGE} with what git said */
  async #run(args: readonly string[], directory = this.path): Promise<string> {
    try {
      return await this.#execute(args, directory);
    } catch (error) {
      if (this.#signal?.aborted) throw new AbortedError(`git ${args[0] ?? ''}`, this.#signal.reason);
      throw gitError(args, error);
    }
  }

  async #execute(args: readonly string[], directory: string): Promise<string> {
    const { stdout } = await run('git', ['--no-optional-locks', '-C', directory, ...CONFIG, ...args], {
      env: environment(),
      maxBuffer: MAX_OUTPUT,
      signal: this.#signal,
    });
    return stdout;
  }
}

/** Without what git sets for its hooks and aliases: it would name another repository. */
function environment(): NodeJS.ProcessEnv {
  const names = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_COMMON_DIR', 'GIT_PREFIX', 'GIT_OBJECT_DIRECTORY'];
  return Object.fromEntries(Object.entries({ ...process.env, LC_ALL: 'C' }).filter(([name]) => !names.includes(name)));
}

function gitError(args: readonly string[], cause: unknown): QmpilotError {
  const said = isObject(cause) && typeof cause['stderr'] === 'string' ? cause['stderr'].trim() : '';
  const message = said === '' ? (cause instanceof Error ? cause.message : String(cause)) : said;
  return new QmpilotError('USAGE', `git ${args[0] ?? ''} failed: ${message.split('\n').slice(0, 3).join(' ')}`, {
    cause,
  });
}

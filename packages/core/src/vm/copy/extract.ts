import { constants } from 'node:fs';
import { chmod, mkdir, open, symlink, utimes } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import type { Headers } from 'tar-stream';
import { QmpilotError } from '../../errors.js';
import { errnoOf, isNoSpace } from '../../util/files/host-error.js';
import type { CopyReport, SkippedEntry } from './copy.js';

/** Of a million entries; and so much is remembered of the names of those that are made last or left out. */
const MAX_ENTRIES = 1_000_000;
const MAX_REMEMBERED_BYTES = 256 << 20;
/** PATH_MAX of Linux. */
const LONGEST_NAME = 4096;
/** Other users may not change files from a guest. */
const MODE = 0o755;

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Writes the entries of an archive from a guest into a private folder of the host: a name never leads out of it, nothing
 * is written through a link (links are made last), an entry never replaces another, devices are not made, and other users may not write.
 */
export class Extraction {
  readonly #root: string;
  readonly #skipped: SkippedEntry[] = [];
  readonly #links: { readonly path: string; readonly target: string }[] = [];
  readonly #folders: { readonly path: string; readonly mode: number; readonly mtime: Date }[] = [];
  #files = 0;
  #bytes = 0;
  #entries = 0;
  #remembered = 0;

  constructor(root: string) {
    this.#root = root;
  }

  get entries(): number {
    return this.#entries;
  }

  /**
   * @throws {COPY_FAILED} for a name that leads out of the folder, or comes twice: tar never writes those; for a million entries
   * @throws {NO_SPACE}
   */
  async add(header: Headers, content: AsyncIterable<Uint8Array>): Promise<void> {
    this.#entries += 1;
    if (this.#entries > MAX_ENTRIES)
      throw new QmpilotError('COPY_FAILED', `the guest sent more than ${MAX_ENTRIES} files, folders and links`, {
        hint: 'copy parts of the tree, or an archive of it',
      });
    const name = insideName(header.name);
    const path = join(this.#root, name);
    const mode = (header.mode ?? 0o644) & MODE;
    const mtime = header.mtime && Number.isFinite(header.mtime.getTime()) ? header.mtime : new Date();
    await writing(name, async () => {
      if (header.type === 'file' || header.type === 'contiguous-file')
        return await this.#file(path, mode, mtime, content);
      if (header.type === 'directory') {
        await mkdir(path, { recursive: true, mode: 0o700 });
        this.#remember(path);
        this.#folders.push({ path, mode, mtime });
      } else if (header.type === 'symlink') this.#link(name, path, header.linkname ?? '');
      else this.#skip(name, `a ${header.type ?? 'entry of unknown type'} is not copied`);
    });
    for await (const _ of content);
  }

  /** Makes the links, and sets times and modes of the folders; `seal` sets the mode of the root, when it is in its place. */
  async end(): Promise<CopyReport> {
    for (const { path, target } of this.#links)
      await writing(path.slice(this.#root.length + 1), () => symlink(target, path));
    // The deepest first: a folder that cannot be entered is closed when everything below it is done.
    const depth = (path: string) => path.split('/').length;
    for (const { path, mode, mtime } of this.#folders.toSorted((one, other) => depth(other.path) - depth(one.path))) {
      await writing(path, async () => {
        await utimes(path, mtime, mtime);
        if (path !== this.#root) await chmod(path, mode);
      });
    }
    return { files: this.#files, bytes: this.#bytes, skipped: this.#skipped };
  }

  /** Sets the mode of the root, which is at `path` now, to that in the guest. */
  async seal(path: string): Promise<void> {
    const root = this.#folders.findLast((folder) => folder.path === this.#root);
    if (root) await chmod(path, root.mode);
  }

  #remember(...texts: readonly string[]): void {
    for (const { length } of texts) this.#remembered += length;
    if (this.#remembered > MAX_REMEMBERED_BYTES)
      throw new QmpilotError('COPY_FAILED', 'the names that the guest sent exceed the limit for an archive');
  }

  #skip(name: string, reason: string): void {
    this.#remember(name, reason);
    this.#skipped.push({ name, reason });
  }

  async #file(path: string, mode: number, mtime: Date, content: AsyncIterable<Uint8Array>): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      for await (const chunk of content) {
        await file.writeFile(chunk);
        this.#bytes += chunk.length;
      }
      await file.utimes(mtime, mtime);
      await file.chmod(mode);
    } finally {
      await file.close();
    }
    this.#files += 1;
  }

  /**
   * Only climbs at its beginning, from the folder of the link itself: behind a name, which may be another link's, `..` may lead anywhere.
   */
  #link(name: string, path: string, target: string): void {
    const parts = target.split('/').filter((part) => part !== '' && part !== '.');
    const climbs = parts.findIndex((part) => part !== '..');
    const up = climbs < 0 ? parts.length : climbs;
    const out = target.startsWith('/') || up > name.split('/').length - 1 || parts.lastIndexOf('..') >= up;
    if (target === '' || out)
      return this.#skip(name, `a link that leads out of the copied tree, or may do so, to ${target.slice(0, 200)}`);
    this.#remember(path, target);
    this.#links.push({ path, target });
  }
}

async function writing(name: string, task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (cause) {
    if (cause instanceof QmpilotError) throw cause;
    throw new QmpilotError(
      isNoSpace(cause) ? 'NO_SPACE' : 'COPY_FAILED',
      `copyOut: cannot write ${JSON.stringify(name.slice(0, 200))}: ${errnoOf(cause) ?? String(cause)}`,
      { cause },
    );
  }
}

function insideName(name: string): string {
  const parts = name.split('/');
  if (
    name === '' ||
    name.length > LONGEST_NAME ||
    name.startsWith('/') ||
    parts.includes('..') ||
    name.includes('\0')
  ) {
    throw new QmpilotError(
      'COPY_FAILED',
      `the guest sent an entry with an invalid name: ${JSON.stringify(name.slice(0, 200))}`,
      {
        hint: 'a name has to stay within the copied tree; nothing was copied',
      },
    );
  }
  return normalize(name);
}

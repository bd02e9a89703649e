import { constants } from 'node:fs';
import { chmod, mkdir, open, symlink, utimes } from 'node:fs/promises';
import { dirname, join, normalize, posix } from 'node:path';
import type { Headers } from 'tar-stream';
import { QmpilotError } from '../../errors.js';
import type { CopyReport, SkippedEntry } from './copy.js';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/**
 * Puts the entries of an archive from a guest into a folder of the host that nobody else has: a name never leads out of it, nothing
 * is written through a link (links are made last), an entry never replaces another, and devices are not made.
 */
export class Extraction {
  readonly #root: string;
  readonly #skipped: SkippedEntry[] = [];
  readonly #links: { readonly path: string; readonly target: string }[] = [];
  readonly #folders: { readonly path: string; readonly mode: number; readonly mtime: Date }[] = [];
  #files = 0;
  #bytes = 0;
  #entries = 0;

  constructor(root: string) {
    this.#root = root;
  }

  get entries(): number {
    return this.#entries;
  }

  /** @throws {COPY_FAILED} for a name that leads out of the folder, or comes twice: no honest tar makes those */
  async add(header: Headers, content: AsyncIterable<Uint8Array>): Promise<void> {
    this.#entries += 1;
    const name = insideName(header.name);
    const path = join(this.#root, name);
    const mode = (header.mode ?? 0o644) & 0o777;
    const mtime = header.mtime ?? new Date();
    try {
      if (header.type === 'file' || header.type === 'contiguous-file') return await this.#file(path, mode, mtime, content);
      if (header.type === 'directory') {
        await mkdir(path, { recursive: true, mode: 0o700 });
        this.#folders.push({ path, mode, mtime });
      } else if (header.type === 'symlink') this.#link(name, path, header.linkname ?? '');
      else this.#skipped.push({ name, reason: `a ${header.type ?? 'thing of unknown kind'} is not copied` });
    } catch (cause) {
      if (cause instanceof QmpilotError) throw cause;
      const full = cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC';
      throw new QmpilotError(full ? 'NO_SPACE' : 'COPY_FAILED', `${name} could not be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
    for await (const _ of content);
  }

  /** Makes the links, and gives the folders their modes and times. */
  async end(): Promise<CopyReport> {
    for (const { path, target } of this.#links) await symlink(target, path);
    for (const { path, mode, mtime } of this.#folders.toReversed()) {
      await utimes(path, mtime, mtime);
      await chmod(path, mode);
    }
    return { files: this.#files, bytes: this.#bytes, skipped: this.#skipped };
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

  #link(name: string, path: string, target: string): void {
    const leads = posix.normalize(posix.join(posix.dirname(name), target));
    if (target === '' || target.startsWith('/') || leads === '..' || leads.startsWith('../')) {
      this.#skipped.push({ name, reason: `a link that leads out of the copied tree, to ${target.slice(0, 200)}` });
    } else this.#links.push({ path, target });
  }
}

function insideName(name: string): string {
  const parts = name.split('/');
  if (name === '' || name.startsWith('/') || parts.includes('..') || name.includes('\0')) {
    throw new QmpilotError('COPY_FAILED', `the guest sent an entry that leads out of the copied tree: ${JSON.stringify(name.slice(0, 200))}`, {
      hint: 'no honest tar sends such names: nothing was kept',
    });
  }
  return normalize(name);
}

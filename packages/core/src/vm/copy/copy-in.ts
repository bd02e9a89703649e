import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { join, posix, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import tar, { type Pack } from 'tar-stream';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { Shell } from '../../shell/shell.js';
import { errnoOf } from '../../util/files/host-error.js';
import { shQuote } from '../../util/text/sh-quote.js';
import { guestPath } from './copy-out.js';
import type { CopyOptions, CopyReport, SkippedEntry } from './copy.js';

/** The archive goes into the guest in pieces of this size: they lie in its RAM for a moment. A multiple of tar's blocks. */
const PIECE_BYTES = 8 << 20;

/** Copies a file or tree into the guest. */
export async function copyIn(shell: Shell, from: string, to: string, options: CopyOptions): Promise<CopyReport> {
  const source = resolve(from);
  const found = await stat(source).catch((cause: unknown) => {
    throw errnoOf(cause) === 'ENOENT'
      ? new QmpilotError('NOT_FOUND', `copyIn: ${source} not found on this host`, { cause })
      : new QmpilotError('IO', `copyIn: cannot read ${source}: ${errnoOf(cause) ?? String(cause)}`, { cause });
  });
  if (!found.isFile() && !found.isDirectory())
    throw new QmpilotError('USAGE', `copyIn: ${source} is neither a file nor a folder`);
  const target = guestPath(to);
  const work = `${target}.copying-${randomBytes(6).toString('hex')}`;
  const wait = { signal: options.signal, timeout: options.timeout };
  const quoted = { target: shQuote(target), work: shQuote(work), folder: shQuote(posix.dirname(target)) };
  const tree = found.isDirectory();
  // A file replaces a file; nothing else is replaced.
  const taken = tree
    ? `[ -e ${quoted.target} ] || [ -L ${quoted.target} ]`
    : `[ -e ${quoted.target} ] && [ ! -f ${quoted.target} ]`;
  // tar may still be writing for a moment when its pipe has ended.
  const remove = `cd ${quoted.work} 2>/dev/null && kill "$(cat holder)" 2>/dev/null; cd /; for i in $(seq 100); do rm -rf ${quoted.work} 2>/dev/null; [ -e ${quoted.work} ] || break; sleep 0.05; done`;
  try {
    const begun = await shell.exec(
      `if ${taken}; then exit 17; fi; mkdir -p ${quoted.folder} && mkdir -m 700 ${quoted.work} && cd ${quoted.work} && mkfifo archive && mkdir content && ` +
        // One that holds the pipe open, so that the archive does not end between two pieces.
        `{ (sleep 2147483647 >archive & echo $! >holder; wait) </dev/null >/dev/null 2>&1 & (tar -xpBf archive -C content 2>said; echo $? >ended) </dev/null >/dev/null 2>&1 & } || exit 1; until [ -s holder ]; do sleep 0.05; done`,
      wait,
    );
    if (begun.exitCode === 17)
      throw new QmpilotError('ALREADY_EXISTS', `copyIn: ${target} already exists in the guest`, {
        hint: 'only a file can replace a file: choose another path, or remove it first',
      });
    if (begun.exitCode !== 0)
      throw new QmpilotError('COPY_FAILED', `copyIn: cannot write ${target} in the guest: ${begun.stderr.trim()}`);
    const report = await send(shell, source, tree, quoted.work, options);
    const moved = tree ? 'content' : 'content/file';
    const ended = await shell.exec(
      `cd ${quoted.work} && kill "$(cat holder)"; until [ -s ended ]; do sleep 0.05; done; s=$(cat ended); ` +
        `[ "$s" = 0 ] && mv -T ${moved} ${quoted.target} && exit 0; cat said >&2; exit 1`,
      wait,
    );
    if (ended.exitCode !== 0) throw new QmpilotError('COPY_FAILED', `tar in the guest failed: ${ended.stderr.trim()}`);
    return report;
  } finally {
    await shell.exec(remove, { patience: 30_000 }).catch(() => {});
  }
}

async function send(
  shell: Shell,
  source: string,
  tree: boolean,
  work: string,
  options: CopyOptions,
): Promise<CopyReport> {
  const pack = tar.pack();
  const report = { files: 0, bytes: 0, skipped: [] as SkippedEntry[] };
  let entries = 0;
  const count = () => (entries += 1);
  const packing = (async () => {
    await (tree ? addTree(pack, source, '.', report, count) : addFile(pack, source, 'file', report, count));
    pack.finalize();
  })().catch((cause: unknown) => {
    pack.destroy(cause instanceof Error ? cause : new Error(String(cause)));
  });
  let bytes = 0;
  const flush = async (piece: Buffer) => {
    // Without tar the pipe has no reader: opening it must not block forever.
    const put = `cd ${work} || exit 1; cat >archive & p=$!; while kill -0 $p 2>/dev/null; do [ -s ended ] && { kill $p; cat said >&2; exit 1; }; sleep 0.02; done; wait $p`;
    const result = await shell.exec(`exec 3<&0; ${put.replace('cat >archive', 'cat <&3 >archive')}`, {
      input: piece,
      signal: options.signal,
      timeout: options.timeout,
    });
    if (result.exitCode !== 0)
      throw new QmpilotError('COPY_FAILED', `the guest cannot unpack the archive: ${result.stderr.trim()}`);
    bytes += piece.length;
    options.onProgress?.({ bytes, entries });
  };
  try {
    let pieces: Buffer[] = [];
    let held = 0;
    for await (const chunk of pack as AsyncIterable<Buffer>) {
      pieces.push(chunk);
      held += chunk.length;
      if (held < PIECE_BYTES) continue;
      let whole = Buffer.concat(pieces);
      // tar takes a pipe that ends within a block for the end of the archive.
      for (; whole.length >= PIECE_BYTES; whole = whole.subarray(PIECE_BYTES))
        await flush(whole.subarray(0, PIECE_BYTES));
      pieces = [whole];
      held = whole.length;
    }
    if (held > 0) await flush(Buffer.concat(pieces));
    await packing;
    return report;
  } catch (error) {
    pack.destroy();
    throw isQmpilotError(error)
      ? error
      : new QmpilotError(
          'COPY_FAILED',
          `copyIn: cannot read ${source}: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
  }
}

interface Count {
  files: number;
  bytes: number;
  skipped: SkippedEntry[];
}

async function addTree(pack: Pack, path: string, name: string, report: Count, count: () => void): Promise<void> {
  const info = await lstat(path);
  count();
  await new Promise<void>((done, fail) =>
    pack.entry({ name, type: 'directory', mode: info.mode & 0o7777, mtime: info.mtime }, (error) =>
      error ? fail(error) : done(),
    ),
  );
  for (const entry of (await readdir(path, { withFileTypes: true })).toSorted((one, other) =>
    one.name < other.name ? -1 : 1,
  )) {
    const [from, as] = [join(path, entry.name), `${name}/${entry.name}`];
    if (entry.isDirectory()) await addTree(pack, from, as, report, count);
    else if (entry.isFile()) await addFile(pack, from, as, report, count);
    else if (entry.isSymbolicLink()) {
      count();
      const linkname = await readlink(from);
      await new Promise<void>((done, fail) =>
        pack.entry({ name: as, type: 'symlink', linkname }, (error) => (error ? fail(error) : done())),
      );
    } else report.skipped.push({ name: as, reason: 'neither a file, a folder nor a link' });
  }
}

async function addFile(pack: Pack, path: string, name: string, report: Count, count: () => void): Promise<void> {
  const info = await stat(path);
  count();
  const entry = pack.entry({ name, size: info.size, mode: info.mode & 0o7777, mtime: info.mtime });
  // As many bytes as the header says: a file that grows must not break the archive.
  if (info.size > 0) await pipeline(createReadStream(path, { end: info.size - 1 }), entry);
  else entry.end();
  report.files += 1;
  report.bytes += info.size;
}

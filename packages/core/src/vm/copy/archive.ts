import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import tar, { type Pack } from 'tar-stream';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { SkippedEntry } from './copy.js';

/** A file or tree of the host, for the archive that goes into the guest. */
export interface Source {
  readonly path: string;
  readonly isTree: boolean;
}

/** What has been packed so far. */
export interface Packed {
  files: number;
  bytes: number;
  /** Files, folders and links. */
  entries: number;
  readonly skipped: SkippedEntry[];
}

/**
 * Packs `source` into a tar archive and calls `take` with its pieces, one after the other, each of `pieceBytes` but the last. A single
 * file has the name `file` in it.
 * @throws {COPY_FAILED} when the host cannot read a file
 * @throws what `take` throws
 */
export async function packInPieces(
  source: Source,
  pieceBytes: number,
  take: (piece: Buffer, packed: Packed) => Promise<void>,
): Promise<Packed> {
  const pack = tar.pack();
  const packed: Packed = { files: 0, bytes: 0, entries: 0, skipped: [] };
  const packing = (async () => {
    await (source.isTree ? addTree(pack, source.path, '.', packed) : addFile(pack, source.path, 'file', packed));
    pack.finalize();
  })().catch((cause: unknown) => {
    pack.destroy(cause instanceof Error ? cause : new Error(String(cause)));
  });
  try {
    let chunks: Buffer[] = [];
    let held = 0;
    for await (const chunk of pack as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      held += chunk.length;
      if (held < pieceBytes) continue;
      let whole = Buffer.concat(chunks);
      // tar takes a pipe that ends within a block for the end of the archive.
      for (; whole.length >= pieceBytes; whole = whole.subarray(pieceBytes))
        await take(whole.subarray(0, pieceBytes), packed);
      chunks = [whole];
      held = whole.length;
    }
    if (held > 0) await take(Buffer.concat(chunks), packed);
    await packing;
    return packed;
  } catch (error) {
    pack.destroy();
    throw isQmpilotError(error)
      ? error
      : new QmpilotError(
          'COPY_FAILED',
          `copyIn: cannot read ${source.path}: ${error instanceof Error ? error.message : String(error)}`,
          { cause: error },
        );
  }
}

async function addTree(pack: Pack, path: string, name: string, packed: Packed): Promise<void> {
  const info = await lstat(path);
  packed.entries += 1;
  await new Promise<void>((done, fail) =>
    pack.entry({ name, type: 'directory', mode: info.mode & 0o7777, mtime: info.mtime }, (error) =>
      error ? fail(error) : done(),
    ),
  );
  for (const entry of (await readdir(path, { withFileTypes: true })).toSorted((one, other) =>
    one.name < other.name ? -1 : 1,
  )) {
    const [from, as] = [`${path}/${entry.name}`, `${name}/${entry.name}`];
    if (entry.isDirectory()) await addTree(pack, from, as, packed);
    else if (entry.isFile()) await addFile(pack, from, as, packed);
    else if (entry.isSymbolicLink()) {
      packed.entries += 1;
      const linkname = await readlink(from);
      await new Promise<void>((done, fail) =>
        pack.entry({ name: as, type: 'symlink', linkname }, (error) => (error ? fail(error) : done())),
      );
    } else packed.skipped.push({ name: as, reason: 'neither a file, a folder nor a link' });
  }
}

async function addFile(pack: Pack, path: string, name: string, packed: Packed): Promise<void> {
  const info = await stat(path);
  packed.entries += 1;
  const entry = pack.entry({ name, size: info.size, mode: info.mode & 0o7777, mtime: info.mtime });
  // As many bytes as the header says: a file that grows must not break the archive.
  if (info.size > 0) await pipeline(createReadStream(path, { end: info.size - 1 }), entry);
  else entry.end();
  packed.files += 1;
  packed.bytes += info.size;
}

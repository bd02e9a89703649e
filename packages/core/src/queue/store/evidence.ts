import { constants } from 'node:fs';
import { appendFile, copyFile, lstat, open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import * as v from 'valibot';

/** All files of one attempt, compressed. */
const MAX_BYTES = 4 << 20;
/** Of one file that is read; larger ones are left out. */
const MAX_FILE = 64 << 20;
const PLAIN = /^\w[\w.-]{0,99}$/;
/** What tells most comes first; the others in the order of their names. */
const ORDER = ['findings.json', 'events.jsonl', 'explanation.txt', 'explanation.json', 'console.timing', 'console.log'];

const HEADER = v.object({
  files: v.array(v.object({ name: v.string(), size: v.number() })),
  leftOut: v.array(v.object({ name: v.string(), bytes: v.number() })),
});

/** Packs the files of an attempt, as many as fit. */
export async function packEvidence(folder: string): Promise<Buffer> {
  const rank = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  const names = (await readdir(folder)).toSorted((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
  const files: { name: string; size: number }[] = [];
  const leftOut: { name: string; bytes: number }[] = [];
  const parts: Buffer[] = [];
  let room = MAX_BYTES;
  for (const name of names) {
    const packed = await packFile(join(folder, name));
    if (Buffer.isBuffer(packed) && packed.length <= room) {
      files.push({ name, size: packed.length });
      parts.push(packed);
      room -= packed.length;
    } else leftOut.push({ name, bytes: Buffer.isBuffer(packed) ? packed.length : packed });
  }
  const header = Buffer.from(JSON.stringify({ files, leftOut }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(header.length);
  return Buffer.concat([length, header, ...parts]);
}

/** The content, compressed; the size of a file that is too large. */
async function packFile(path: string): Promise<Buffer | number> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const { size } = await file.stat();
  return size > MAX_FILE ? size : promisify(gzip)(await file.readFile(), { level: 1 });
}

/**
 * Writes packed files into the empty folder of an attempt. Its events name the files that did not fit.
 * @throws when a name is not a plain file name, or a file is larger than a worker sends
 */
export async function unpackEvidence(bytes: Buffer, folder: string): Promise<void> {
  let at = 4 + bytes.readUInt32BE(0);
  const { files, leftOut } = v.parse(HEADER, JSON.parse(bytes.toString('utf8', 4, at)));
  for (const { name, size } of files) {
    const content = await promisify(gunzip)(bytes.subarray(at, at + size), { maxOutputLength: MAX_FILE });
    await writeFile(join(folder, plain(name)), content, { flag: 'wx', mode: 0o600 });
    at += size;
  }
  const lines = leftOut.map((one) => `${JSON.stringify({ at: 0, type: 'left-out', ...one })}\n`);
  if (lines.length > 0) await appendFile(join(folder, 'events.jsonl'), lines.join(''), { mode: 0o600 });
}

/** Copies the files of an attempt from a shared directory. Links and folders in it are left out. */
export async function copyEvidence(from: string, folder: string): Promise<void> {
  for (const name of await readdir(from)) {
    const path = join(from, name);
    if (!(await lstat(path)).isFile()) continue;
    await copyFile(path, join(folder, plain(name)), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
}

function plain(name: string): string {
  if (PLAIN.test(name)) return name;
  throw new Error(`${JSON.stringify(name)} is not a plain file name`);
}

/** Name of a folder that a worker made in the shared directory. */
export function isEvidenceFolder(name: string): boolean {
  return PLAIN.test(name);
}

import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import { hashFiles, readScenarioFiles } from '../../repro/scenario-source.js';
import { formatBytes } from '../../util/text/format.js';

const MAX_BYTES = 32 << 20;
const FILES = v.array(v.strictObject({ path: v.string(), text: v.string() }));

/** A scenario file and what it imports, as one value. */
export interface Bundle {
  readonly bytes: Buffer;
  /** SHA-256 of `bytes`. */
  readonly sha256: string;
  /** The scenario's file in it. */
  readonly file: string;
  /** Hash of the scenario, as in run.json. */
  readonly source: string;
}

/**
 * Packs a scenario file and all that it imports by relative paths.
 * @throws {USAGE} when it cannot be read, or is too large
 */
export async function packBundle(name: string): Promise<Bundle> {
  const file = resolve(name);
  const text = await readFile(file).catch((cause: unknown) => {
    throw new QmpilotError('USAGE', `cannot read the scenario ${name}`, { cause, hint: 'check the path' });
  });
  const found = await readScenarioFiles(file, text);
  const root = commonFolder([...found.keys()]);
  const files = [...found]
    .map(([path, content]) => ({ path: relative(root, path), text: content.toString('base64') }))
    .toSorted((one, other) => (one.path < other.path ? -1 : 1));
  const bytes = gzipSync(JSON.stringify(files));
  if (bytes.length > MAX_BYTES)
    throw new QmpilotError(
      'USAGE',
      `the scenario and its imports are ${formatBytes(bytes.length)}, more than ${formatBytes(MAX_BYTES)}`,
      { hint: 'a scenario is sent to each worker: put large files into the guest image' },
    );
  return { bytes, sha256: sha256(bytes), file: relative(root, file), source: hashFiles(file, found) };
}

/**
 * Writes the files of a bundle into an empty folder.
 * @throws {USAGE} when it is not the one with this hash, or names files elsewhere
 */
export async function unpackBundle(bytes: Buffer, expected: string, folder: string): Promise<void> {
  if (sha256(bytes) !== expected) throw tampered('its hash is not the one that was signed');
  const files = v.parse(FILES, JSON.parse(gunzipSync(bytes, { maxOutputLength: 8 * MAX_BYTES }).toString()));
  for (const { path, text } of files) {
    const target = resolve(folder, path);
    if (!target.startsWith(folder + sep)) throw tampered(`it names the file ${JSON.stringify(path)}`);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFile(target, Buffer.from(text, 'base64'), { flag: 'wx', mode: 0o600 });
  }
}

function tampered(why: string): QmpilotError {
  return new QmpilotError('USAGE', `the scenario in the queue was changed: ${why}`, {
    hint: 'start the run again; if it happens again, find out who else writes to this Redis',
  });
}

function commonFolder(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((path) => dirname(path).split(sep));
  const differs = first.findIndex((part, at) => others.some((other) => other[at] !== part));
  return join(sep, ...(differs === -1 ? first : first.slice(0, differs)));
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

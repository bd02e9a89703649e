import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensurePrivateDirectory } from '../util/files/private-directory.js';
import { requireProgram } from '../util/files/which.js';
import { imagesDirectory } from './image-cache.js';

const run = promisify(execFile);

/** An empty qcow2 image of this size, which VMs have overlays of: made once, and kept in the cache. */
export async function blankDisk(bytes: number, cacheDir?: string): Promise<string> {
  const directory = imagesDirectory(cacheDir);
  const path = join(directory, `blank-${bytes}.qcow2`);
  try {
    await access(path);
    return path;
  } catch {
    await ensurePrivateDirectory(directory);
  }
  const partial = `${path}.${randomUUID()}`;
  const tool = await requireProgram('qemu-img', 'on Debian: apt-get install qemu-utils');
  await run(tool, ['create', '-q', '-f', 'qcow2', partial, String(bytes)]);
  await rename(partial, path);
  return path;
}

/** What `qemu-img` does with the disks of layers. */
import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { requireProgram } from '../../util/files/which.js';
import { IMAGE_FILES, type GuestImage } from '../image-cache.js';

const run = promisify(execFile);

/** An image of all layers in one file: the image's own disk where it is the lowest. */
export async function flattenImage(image: GuestImage, path: string, signal: AbortSignal | undefined): Promise<string> {
  if (image.manifest.parent === undefined) return image.disk;
  await qemuImg(['convert', '-q', '-O', 'qcow2', image.disk, path], signal);
  return path;
}

export async function toRaw(image: GuestImage, path: string, signal: AbortSignal | undefined): Promise<void> {
  await qemuImg(['convert', '-q', '-O', 'raw', image.disk, path], signal);
}

/** Makes a qcow2 image at `path` of what differs between a raw disk and the image below. */
export async function differenceOf(
  raw: string,
  below: GuestImage,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await qemuImg(['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', raw, path], signal);
  await qemuImg(['rebase', '-q', '-F', 'qcow2', '-b', below.disk, path], signal);
}

/** The path is relative to the layer's own folder, so that the cache can be moved. */
export async function setBackingFile(disk: string, below: GuestImage, signal: AbortSignal | undefined): Promise<void> {
  const path = `../${basename(below.dir)}/${IMAGE_FILES.disk}`;
  await qemuImg(['rebase', '-q', '-u', '-F', 'qcow2', '-b', path, disk], signal);
}

async function qemuImg(args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const tool = await requireProgram('qemu-img', 'on Debian: apt-get install qemu-utils');
  await run(tool, args, { signal });
}

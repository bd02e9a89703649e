import { execFile } from 'node:child_process';
import { gunzipSync } from 'node:zlib';
import { which } from '../../util/files/which.js';

/** Programs that unpack, by the first bytes of what they unpack. */
const FORMATS: readonly (readonly [string, string])[] = [
  ['\xfd7zXZ\0', 'xz'],
  ['\x28\xb5\x2f\xfd', 'zstd'],
  ['\x02\x21\x4c\x18', 'lz4'],
  ['\x5d\0\0', 'lzma'],
  ['BZh', 'bzip2'],
];

/** Unpacks a kernel or a module; undefined for an unknown format, or when its program is not installed. Plain ELF stays as it is. */
export async function unpack(bytes: Buffer): Promise<Buffer | undefined> {
  const begins = (magic: string) => bytes.toString('latin1', 0, magic.length) === magic;
  if (begins('\x7fELF')) return bytes;
  if (begins('\x1f\x8b')) return gunzipSync(bytes);
  const program = FORMATS.find(([magic]) => begins(magic))?.[1];
  const path = program === undefined ? undefined : await which(program);
  if (path === undefined) return undefined;
  return new Promise((resolve) => {
    // What follows the compressed kernel makes some of them end with an error, after the whole output.
    const child = execFile(path, ['-dc'], { encoding: 'buffer', maxBuffer: 1 << 30 }, (_, stdout) =>
      resolve(stdout.length > 0 ? stdout : undefined),
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(bytes);
  });
}

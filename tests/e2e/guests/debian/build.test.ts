import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { buildDebianImage, listImages, type GuestImage } from '@qmpilot/core/guests';
import { beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const options = { defect: 'io-uring-unlocked-flush' } as const;

describe('the Debian image in the cache', () => {
  let image: GuestImage;
  beforeAll(async () => {
    image = await buildDebianImage(options);
  });

  it('is built once, then taken from the cache, and listed there', async () => {
    const again = await buildDebianImage(options, {
      onProgress: (message) => expect.fail(`it is built again: ${message}`),
    });
    expect(again.dir).toBe(image.dir);
    expect((await listImages()).map(({ key }) => key)).toContain(image.key);
  });

  it('has disks that qemu-img finds sound: that of Debian without a backing file, that of the defect over it and small', async () => {
    const below = await buildDebianImage({}, { onProgress: (message) => expect.fail(`it is built: ${message}`) });
    const [base, defect] = await Promise.all(
      [below, image].map(async ({ disk }) => {
        await run('qemu-img', ['check', '-q', disk]);
        const info: Record<string, unknown> = JSON.parse(
          (await run('qemu-img', ['info', '--output=json', disk])).stdout,
        );
        expect(info).toMatchObject({ 'format': 'qcow2', 'virtual-size': 2 * 1024 ** 3 });
        return info;
      }),
    );
    expect(base).not.toHaveProperty('backing-filename');
    expect(defect).toMatchObject({ 'backing-filename': `../${below.key}/disk.qcow2` });
    expect(defect?.['actual-size']).toBeLessThan(8 * 2 ** 20);
    expect(image.manifest).toMatchObject({ parent: below.key, packages: below.manifest.packages });
  });

  it('has a kernel and an initrd of the formats that QEMU boots', async () => {
    // Documentation/arch/x86/boot.rst: `HdrS` at 0x202. Documentation/driver-api/early-userspace/buffer-format.rst: 070701.
    expect(await bytes(image.kernel, 0x202, 4)).toBe('HdrS');
    expect(await bytes(image.initrd, 0, 6)).toBe('070701');
  });

  it('names its kernel and its packages, and kept no compiler and no headers', () => {
    const { kernelRelease, packages } = image.manifest;
    expect(packages.some((line) => line.startsWith(`linux-image-${kernelRelease} `))).toBe(true);
    expect(
      packages.filter(
        (line) =>
          /^(gcc|cpp|make|linux-headers|linux-kbuild|libc6-dev)\b/.test(line) && !line.startsWith('gcc-12-base '),
      ),
    ).toEqual([]);
  });
});

async function bytes(path: string, position: number, length: number): Promise<string> {
  await using file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.toString('latin1');
}

import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareRootfs } from './prepare-rootfs.js';

const UNITS = 'etc/systemd/system';
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'qmpilot-rootfs-test-'));
  for (const file of ['usr/lib/systemd/systemd', 'usr/bin/bash']) {
    await mkdir(join(root, file, '..'), { recursive: true });
    await writeFile(join(root, file), '');
  }
});
afterEach(() => rm(root, { recursive: true, force: true }));

const all = async () => (await readdir(root, { recursive: true })).sort();

describe('prepareRootfs', () => {
  it('starts root shells on hvc0 and hvc1, and keeps login prompts off the virtio consoles', async () => {
    const entries = await prepareRootfs(root);
    expect(await readFile(join(root, UNITS, 'qmpilot-shell@.service'), 'utf8')).toMatch(/^ExecStart=-\/bin\/bash/m);
    for (const console of ['hvc0', 'hvc1'])
      expect(await readlink(join(root, UNITS, `sysinit.target.wants/qmpilot-shell@${console}.service`))).toBe(
        '../qmpilot-shell@.service',
      );
    for (const console of ['hvc0', 'hvc1', 'hvc2', 'hvc3'])
      expect(await readlink(join(root, UNITS, `serial-getty@${console}.service`))).toBe('/dev/null');
    expect(await readFile(join(root, UNITS, 'serial-getty@.service.d/autologin.conf'), 'utf8')).toContain(
      '--autologin root',
    );
    for (const { path, why } of entries) {
      await lstat(join(root, path));
      expect(why).not.toBe('');
    }
  });

  it('changes nothing when it is done again', async () => {
    await prepareRootfs(root);
    const before = await all();
    await prepareRootfs(root);
    expect(await all()).toEqual(before);
  });

  it('replaces a getty that is enabled on a virtio console', async () => {
    await mkdir(join(root, UNITS), { recursive: true });
    await symlink('/usr/lib/systemd/system/serial-getty@.service', join(root, UNITS, 'serial-getty@hvc0.service'));
    await prepareRootfs(root);
    expect(await readlink(join(root, UNITS, 'serial-getty@hvc0.service'))).toBe('/dev/null');
  });

  it.each([
    ['systemd', 'usr/lib/systemd/systemd'],
    ['bash', 'usr/bin/bash'],
  ])('refuses a root file system without %s, and writes nothing', async (what, file) => {
    await rm(join(root, file));
    const before = await all();
    await expect(prepareRootfs(root)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(`has no ${what}`),
      hint: expect.any(String),
    });
    expect(await all()).toEqual(before);
  });

  it('does not follow a link out of the root file system', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'qmpilot-outside-'));
    try {
      await symlink(outside, join(root, 'etc'));
      await expect(prepareRootfs(root)).rejects.toMatchObject({ code: 'USAGE' });
      expect(await readdir(outside)).toEqual([]);
    } finally {
      await rm(outside, { recursive: true });
    }
  });

  it('says what a file is that is no ext4 file system', async () => {
    const file = join(root, 'image');
    const partitions = Buffer.alloc(4096);
    partitions.writeUInt16LE(0xaa55, 510);
    const qcow2 = Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(4096)]);
    for (const [bytes, what] of [
      [partitions, /disk with partitions/],
      [qcow2, /is a qcow2 image/],
      [Buffer.from('text'), /neither a folder nor an ext4 file system/],
    ] as const) {
      await writeFile(file, bytes);
      await expect(prepareRootfs(file)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(what) });
    }
    await expect(prepareRootfs(join(root, 'none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DebianImageOptions } from './image-options.js';
import { debianImageKey, planLayers } from './layers.js';

let folder: string;
let setup: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qmpilot-layers-'));
  setup = join(folder, 'setup.sh');
  await writeFile(setup, 'echo one\n');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const kinds = async (options: DebianImageOptions) => (await planLayers(options)).map(({ content }) => content.kind);
const keys = async (options: DebianImageOptions) => (await planLayers(options)).map(({ key }) => key);

describe('the layers of a Debian image', () => {
  it('are only the base where nothing is asked for', async () => {
    expect(await kinds({})).toEqual(['base']);
    expect(await kinds({ packages: [], files: {}, diskSize: '2G' })).toEqual(['base']);
    expect(await debianImageKey({ suite: 'bookworm' })).toBe(await debianImageKey({}));
  });

  it('are the module of a defect over the base of the image without it', async () => {
    const defect = 'io-uring-unlocked-flush';
    expect(await kinds({ defect, diskSize: '8G' })).toEqual(['base', 'defect', 'size']);
    expect((await keys({ defect }))[0]).toBe(await debianImageKey({}));
  });

  it('are size, packages and setup over the base, each over the one below', async () => {
    const options = { diskSize: '8G', packages: ['nginx'], setup, files: { '/etc/demo.conf': setup } };
    expect(await kinds(options)).toEqual(['base', 'size', 'packages', 'setup']);
    const all = await keys(options);
    expect(await keys({ diskSize: '8G', packages: ['nginx'] })).toEqual(all.slice(0, 3));
    expect((await keys({ ...options, suite: 'trixie' })).filter((key) => all.includes(key))).toEqual([]);
  });

  it('keep those below when the setup script changes', async () => {
    const options = { packages: ['nginx'], setup };
    const before = await keys(options);
    await writeFile(setup, 'echo two\n');
    const after = await keys(options);
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect(after[2]).not.toBe(before[2]);
  });

  it('have a setup that runs in a guest on top, known by its name and text', async () => {
    const options = { files: { '/etc/demo.conf': setup } };
    const step = { name: 'one', source: 'text', run: () => Promise.resolve('') };
    const layers = await planLayers(options, step);
    expect(layers.map(({ content }) => content.kind)).toEqual(['base', 'setup', 'step']);
    const top = async (changed: Partial<typeof step>) =>
      (await planLayers(options, { ...step, ...changed })).at(-1)?.key;
    expect(layers[1]?.key).toBe(await debianImageKey(options));
    expect(await top({ run: () => Promise.resolve('other') })).toBe(layers[2]?.key);
    expect(new Set([layers[2]?.key, await top({ name: 'two' }), await top({ source: 'other' })]).size).toBe(3);
  });

  it('are the same for packages in another order, and named twice', async () => {
    expect(await keys({ packages: ['nginx', 'redis'] })).toEqual(await keys({ packages: ['redis', 'nginx', 'redis'] }));
  });

  it('change with the content, the names and the modes of files', async () => {
    const tree = join(folder, 'tree');
    await mkdir(tree);
    await writeFile(join(tree, 'run'), 'x');
    const options = { files: { '/opt/tree': tree } };
    const seen = [await debianImageKey(options)];
    await chmod(join(tree, 'run'), 0o755);
    seen.push(await debianImageKey(options));
    await writeFile(join(tree, 'other'), 'x');
    seen.push(await debianImageKey(options), await debianImageKey({ files: { '/opt/moved': tree } }));
    expect(new Set(seen).size).toBe(4);
  });

  it.each<[string, DebianImageOptions, RegExp]>([
    ['a kernel among the packages', { packages: ['linux-image-cloud-amd64'] }, /packages: linux-image-cloud-amd64/],
    ['an option of apt in place of a package', { packages: ['-o'] }, /packages\[0\]/],
    ['a disk that is too small', { diskSize: '1G' }, /diskSize: 1G is less than 2G/],
    ['a disk without a unit', { diskSize: '8' }, /diskSize: expected a size/],
    ['a suite that cannot be one', { suite: '../trixie' }, /suite: expected the name/],
    ['a defect for another kernel', { suite: 'trixie', defect: 'io-uring-unlocked-flush' }, /defect: .*bookworm/],
    ['a relative path in the guest', { files: { 'etc/demo': 'x' } }, /files/],
    ['a path in the guest that leaves its folder', { files: { '/etc/../x': 'x' } }, /files/],
    ['a path that the guest mounts another file system over', { files: { '/tmp/x': 'x' } }, /files/],
    ['a setup script that does not exist', { setup: '/no/such/script' }, /setup: \/no\/such\/script cannot be read/],
    [
      'a file that does not exist',
      { files: { '/etc/demo': '/no/such/file' } },
      /files: \/no\/such\/file cannot be read/,
    ],
  ])('refuse %s', async (_, options, message) => {
    await expect(planLayers(options)).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) });
  });
});

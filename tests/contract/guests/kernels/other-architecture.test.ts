import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { collectKernel } from '../../../../packages/core/src/guests/kernels/collect.js';
import { locateKernel } from '../../../../packages/core/src/guests/kernels/kernel-source.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-kernels-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const collect = async (option: string) =>
  collectKernel(await locateKernel(option, 'bookworm'), join(dir, 'work'), undefined);

/** A kernel package with a large file that no kernel is. */
function makePackage(architecture: string): string {
  const tree = join(dir, 'package');
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  mkdirSync(join(tree, 'boot'));
  writeFileSync(join(tree, 'boot/vmlinuz-6.1.0-1'), Buffer.alloc(1 << 20));
  writeFileSync(
    join(tree, 'DEBIAN/control'),
    `Package: linux-image-6.1.0-1\nVersion: 1\nArchitecture: ${architecture}\nMaintainer: nobody <nobody@example.org>\nDescription: a kernel\n`,
  );
  const deb = join(dir, `linux-image_${architecture}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '-b', tree, deb], { stdio: 'ignore' });
  return deb;
}

it('refuses a package for another architecture', async () => {
  await expect(collect(makePackage('arm64'))).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/_arm64\.deb is a package for arm64, and the guest is for x86-64$/),
  });
});

it('refuses a package that is not complete, or is none', async () => {
  const deb = makePackage('amd64');
  expect(await collect(deb)).toMatchObject({ image: expect.stringMatching(/vmlinuz-6\.1\.0-1$/) });
  truncateSync(deb, 500_000);
  await expect(collect(deb)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/cannot be unpacked: .+/),
  });
  writeFileSync(deb, 'text');
  await expect(collect(deb)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/cannot be unpacked: dpkg-deb: error: .+/),
  });
});

it('refuses a kernel tree that is configured for another architecture', async () => {
  const tree = join(dir, 'linux');
  mkdirSync(tree);
  writeFileSync(
    join(tree, '.config'),
    '#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.1.55 Kernel Configuration\n#\nCONFIG_ARM64=y\n',
  );
  await expect(collect(tree)).rejects.toMatchObject({
    code: 'USAGE',
    message: `kernel: ${tree} is configured for arm64, and the guest is for x86-64`,
  });
});

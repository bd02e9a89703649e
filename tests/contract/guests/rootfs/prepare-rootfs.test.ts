import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareRootfs } from '../../../../packages/core/src/guests/rootfs/prepare-rootfs.js';

const SBIN = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
let dir: string;
let image: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-rootfs-image-'));
  const tree = join(dir, 'tree');
  for (const file of ['usr/lib/systemd/systemd', 'usr/bin/bash']) {
    mkdirSync(join(tree, file, '..'), { recursive: true });
    writeFileSync(join(tree, file), '');
  }
  image = join(dir, 'root.raw');
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', tree, image, '16M'], { env: SBIN });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const ask = (command: string) =>
  execFileSync('debugfs', ['-R', command, image], { env: SBIN, encoding: 'utf8', stdio: 'pipe' });

describe('prepareRootfs of an image of an ext4 file system', () => {
  it.each([1, 2])(
    'puts its files there, and leaves a file system without errors, when done %i times',
    async (times) => {
      for (let time = 0; time < times; time += 1) await prepareRootfs(image);
      const units = '/etc/systemd/system';
      expect(ask(`cat ${units}/qmpilot-shell@.service`)).toContain('Description=Out-of-band root shell');
      expect(ask(`stat ${units}/qmpilot-shell@.service`)).toMatch(/Type: regular +Mode: +0644/);
      expect(ask(`stat ${units}/serial-getty@hvc0.service`)).toContain('"/dev/null"');
      expect(ask(`stat ${units}/sysinit.target.wants/qmpilot-shell@hvc1.service`)).toContain(
        '"../qmpilot-shell@.service"',
      );
      execFileSync('e2fsck', ['-fn', image], { env: SBIN, stdio: 'pipe' });
    },
  );
});

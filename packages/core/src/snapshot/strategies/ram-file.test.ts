import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { acquireHostDirectories, releaseHostDirectories } from '../../qemu/host/directories.js';
import type { SnapshotContext } from '../context.js';
import { newRamFile, planRam, removeRamFile } from './ram-file.js';

const binary = { path: 'qemu', version: { major: 7, minor: 2, micro: 0, text: '7.2.0' } };
/** More than any host has. */
const TOO_MUCH_MIB = 2 ** 40;

describe('where RAM files go', () => {
  let folder: string;
  let context: SnapshotContext;
  const open = async () => {
    context = { binary, directories: await acquireHostDirectories() };
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ram-test-'));
  });
  afterEach(async () => {
    await releaseHostDirectories();
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  });

  it('is $QMPILOT_RAM_DIR, in a private folder that goes with the last user', async () => {
    vi.stubEnv('QMPILOT_RAM_DIR', folder);
    await open();
    const file = await newRamFile(context, 16);
    expect(file.startsWith(`${folder}/qmpilot-`)).toBe(true);
    await removeRamFile(file);
    expect(existsSync(join(file, '..'))).toBe(false);
    await acquireHostDirectories();
    await releaseHostDirectories();
    expect(await readdir(folder)).toHaveLength(1);
    await releaseHostDirectories();
    expect(await readdir(folder)).toEqual([]);
    await open();
  });

  it('is nowhere else when that was named and has no room: the error says how much is free there', async () => {
    vi.stubEnv('QMPILOT_RAM_DIR', folder);
    await open();
    await expect(planRam(context, TOO_MUCH_MIB, () => {})).rejects.toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringMatching(/ram-test-.*MiB free/),
    });
  });

  it('falls back to memory of QEMU itself when no folder has room, and says what that means', async () => {
    vi.stubEnv('QMPILOT_RAM_DIR', '');
    await open();
    const said: string[] = [];
    expect(await planRam(context, TOO_MUCH_MIB, (line) => said.push(line))).toEqual({ kind: 'anonymous' });
    expect(said.join()).toContain('hold all of its RAM');
  });
});

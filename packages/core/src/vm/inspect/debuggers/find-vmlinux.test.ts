import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildVmlinux } from '../../../introspect/fixture/vmlinux-builder.js';
import { findVmlinux, readVmcoreinfo } from './find-vmlinux.js';

const [ID, OTHER] = ['11'.repeat(20), '22'.repeat(20)];
const kernel = { release: '6.1.0-test', buildId: ID };
let debugFolder = '';
beforeEach(() => {
  debugFolder = mkdtempSync(join(tmpdir(), 'qmpilot-debug-'));
  mkdirSync(join(debugFolder, 'boot'));
});
afterEach(() => rmSync(debugFolder, { recursive: true, force: true }));

it('finds the debug symbols of a package by the build id, and takes none of another build of the release', async () => {
  const path = join(debugFolder, 'boot/vmlinux-6.1.0-test');
  writeFileSync(path, buildVmlinux({ buildId: OTHER }));
  await expect(findVmlinux(kernel, { debugFolder })).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `no vmlinux of the kernel 6.1.0-test found (build id ${ID})`,
    hint: expect.stringContaining('apt-get install linux-image-6.1.0-test-dbg'),
  });
  writeFileSync(path, buildVmlinux({ buildId: ID }));
  expect(await findVmlinux(kernel, { debugFolder })).toMatchObject({ path, buildId: ID });
});

it('takes the vmlinux of a built tree, and refuses one of another kernel', async () => {
  const path = join(debugFolder, 'vmlinux');
  writeFileSync(path, buildVmlinux({ buildId: ID }));
  expect(await findVmlinux(kernel, { path: debugFolder })).toMatchObject({ path });
  await expect(findVmlinux({ ...kernel, buildId: OTHER }, { path })).rejects.toMatchObject({
    code: 'USAGE',
    message: `${path} is of another kernel: its build id is ${ID}, that of 6.1.0-test is ${OTHER}`,
  });
  writeFileSync(path, 'text');
  await expect(findVmlinux(kernel, { path })).rejects.toMatchObject({ code: 'USAGE' });
  await expect(findVmlinux(kernel, { path: join(debugFolder, 'none') })).rejects.toMatchObject({ code: 'IO' });
  await expect(findVmlinux(kernel, { file: path } as never)).rejects.toMatchObject({ code: 'USAGE' });
});

it('says what a dump without VMCOREINFO lacks', () => {
  const path = join(debugFolder, 'memory.elf');
  writeFileSync(path, `\x7fELF${'\0'.repeat(100)}OSRELEASE=6.1.0-test\nBUILD-ID=${ID}\n`);
  expect(readVmcoreinfo(path)).toEqual(kernel);
  writeFileSync(path, '\x7fELF');
  expect(() => readVmcoreinfo(path)).toThrow(
    expect.objectContaining({ code: 'USAGE', hint: expect.stringContaining('qemu_fw_cfg') }),
  );
});

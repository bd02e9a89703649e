import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildKernel } from '@qmpilot/core/guests';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildVmlinux } from '../../../../packages/core/src/introspect/fixture/vmlinux-builder.js';

/** What a kernel's Makefile does with these targets, as far as it is seen from outside. */
const MAKEFILE = `
ifneq ($(wildcard .config),)
$(error The source tree is not clean, please run 'make mrproper')
endif
allnoconfig:
	@sed '/CONFIG_NOT_THERE/d' "$(KCONFIG_ALLCONFIG)" > "$(O)/.config"
bzImage: check
	@echo "  CC      init/main.o"
	@echo "  LD      vmlinux"
	@mkdir -p "$(O)/arch/x86/boot" "$(O)/include/config"
	@printf 'kernel built at %s' "$$KBUILD_BUILD_TIMESTAMP" > "$(O)/arch/x86/boot/bzImage"
	@cp vmlinux.built "$(O)/vmlinux"
	@echo 6.1.0 > "$(O)/include/config/kernel.release"
check:
	@if [ -e broken.c ]; then echo "  CC      broken.o"; gcc -c -o /dev/null broken.c; fi
	@if [ -e endless ]; then touch "$(O)/started"; exec sleep 1000; fi
`;

let dir: string;
let path: string | undefined;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-kernel-build-'));
  // The driver of the build is tested here: tools that only a real build runs need not be installed.
  const bin = join(dir, 'bin');
  mkdirSync(bin);
  for (const tool of ['flex', 'bison', 'bc']) {
    writeFileSync(join(bin, tool), '#!/bin/sh\n');
    chmodSync(join(bin, tool), 0o755);
  }
  path = process.env['PATH'];
  process.env['PATH'] = `${path}:${bin}`;
});
afterAll(() => {
  process.env['PATH'] = path;
  rmSync(dir, { recursive: true, force: true });
});

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(dir, 'linux-'));
  mkdirSync(join(tree, 'arch', 'x86'), { recursive: true });
  writeFileSync(join(tree, 'Makefile'), MAKEFILE);
  for (const file of ['Kconfig', 'arch/x86/Kconfig']) writeFileSync(join(tree, file), '');
  writeFileSync(join(tree, 'vmlinux.built'), buildVmlinux({ buildId: '61'.repeat(20) }));
});

describe('the build of a kernel tree', () => {
  it('is in a directory beside the tree, with the options of a guest and of fragments, at a fixed time', async () => {
    const fragment = join(dir, 'fragment');
    writeFileSync(fragment, 'CONFIG_KASAN=y\nCONFIG_NOT_THERE=y\n');
    const said: string[] = [];
    const built = await buildKernel(
      tree,
      { config: [fragment] },
      { cacheDir: join(dir, 'cache'), onProgress: (message) => said.push(message) },
    );
    expect(built).toEqual({
      out: `${tree}.qmpilot`,
      image: `${tree}.qmpilot/arch/x86/boot/bzImage`,
      release: '6.1.0',
      buildId: '61'.repeat(20),
      ignored: ['CONFIG_NOT_THERE=y'],
    });
    expect(readFileSync(built.image, 'utf8')).toBe('kernel built at Thu Jan  1 00:00:00 UTC 1970');
    expect(readFileSync(join(built.out, '.config'), 'utf8')).toMatch(/^CONFIG_VIRTIO_BLK=y$[^]*^CONFIG_KASAN=y$/m);
    expect(said.join('\n')).toMatch(/not in this kernel.*CONFIG_NOT_THERE=y[^]*the kernel is built \(2 files, \d+ s\)/);
  });

  it("fails with the compiler's own error", async () => {
    writeFileSync(join(tree, 'broken.c'), 'int main(void) { return undeclared; }\n');
    const failure = await buildKernel(tree, {}, { cacheDir: join(dir, 'cache') }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'GUEST_BUILD',
      message: expect.stringMatching(/broken\.c:1:\d+: error: .*undeclared/),
    });
  });

  it('ends with its compilers when it is cancelled', async () => {
    writeFileSync(join(tree, 'endless'), '');
    const cancel = new AbortController();
    const building = buildKernel(tree, {}, { cacheDir: join(dir, 'cache'), signal: cancel.signal });
    await expect.poll(() => readFileSync(`${tree}.qmpilot/started`, 'utf8'), { timeout: 30_000 }).toBe('');
    cancel.abort();
    await expect(building).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('is refused for a folder without a kernel, a build directory in the tree, and a tree that was built in place', async () => {
    await expect(buildKernel(dir)).rejects.toThrow(/is not a kernel tree: it has no Kconfig/);
    await expect(buildKernel(tree, { out: join(tree, 'out') })).rejects.toThrow(/is in the kernel tree/);
    writeFileSync(join(tree, '.config'), '');
    await expect(buildKernel(tree, {}, { cacheDir: join(dir, 'cache') })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/was built in place/),
    });
  });

  it('is refused before it compiles when a fragment turns off what a guest needs', async () => {
    const fragment = join(dir, 'without-unix');
    writeFileSync(fragment, '# CONFIG_UNIX is not set\n');
    const failure = buildKernel(tree, { config: [fragment] }, { cacheDir: join(dir, 'cache') });
    await expect(failure).rejects.toThrow(/could not boot a guest: it lacks CONFIG_UNIX=y/);
  });
});

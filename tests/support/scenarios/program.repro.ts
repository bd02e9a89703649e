import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineScenario, direct } from '@qmpilot/core';

const { TINY_KERNEL: kernel = '', TINY_INITRD: initrd = '', QMPILOT_BUILD: build = '' } = process.env;

/** Defines the shell function `program` of a build in the guest, and calls it with the seed of the attempt. */
export default defineScenario({
  name: 'program',
  cache: true,
  guest: direct({
    ...{ name: 'tiny', kernel, initrd, append: 'console=ttyS0 quiet', cpus: 1, memoryMiB: 128 },
    login: { prompt: /tiny# $/ },
  }),
  async prepare(vm) {
    await vm.console.type(readFileSync(join(build, 'program'), 'utf8'));
    await vm.console.expect(/tiny# $/);
  },
  async attempt(vm, { seed, fail, signal }) {
    await vm.console.type(`program ${seed}\n`, { signal });
    const { groups } = await vm.console.expect(/result (FAILED|passed)/, { signal, timeout: '60s' });
    if (groups[0] === 'FAILED') fail('the program failed');
  },
});

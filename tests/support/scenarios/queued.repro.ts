import { defineScenario, direct } from '@qmpilot/core';
import { FAILURE } from './queued/answer.js';

const { TINY_KERNEL: kernel = '', TINY_INITRD: initrd = '' } = process.env;

/** Asks the guest whether its seed is divisible by three: a few hundred ms for an attempt, and a failure that hangs on the seed alone. */
export default defineScenario({
  name: 'queued',
  cache: true,
  guest: direct({
    ...{ name: 'tiny', kernel, initrd, append: 'console=ttyS0 quiet', cpus: 1, memoryMiB: 128 },
    login: { prompt: /tiny# $/ },
  }),
  async attempt(vm, { seed, fail, signal }) {
    await vm.console.type(`echo "answer $((${seed} % 3))"\n`, { signal });
    const { groups } = await vm.console.expect(/answer (\d)/, { signal, timeout: '30s' });
    if (groups[0] === FAILURE) fail('divisible by three');
  },
});

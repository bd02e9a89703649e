import { defineScenario, direct } from '@qmpilot/core';

const { TINY_KERNEL: kernel = '', TINY_INITRD: initrd = '', HOW: how } = process.env;

/** Fails in its odd attempts, by `fail` or by an assertion, as HOW says; otherwise not at all. */
export default defineScenario({
  name: 'fails',
  guest: direct({
    name: 'tiny',
    kernel,
    initrd,
    append: 'console=ttyS0 quiet',
    cpus: 1,
    memoryMiB: 128,
    login: { prompt: /tiny# $/ },
  }),
  failOn: how === 'failOn' ? 'throw' : 'finding',
  async attempt(vm, { index, fail, signal }) {
    await vm.console.type('echo "answer $((6 * 7))"\n', { signal });
    await vm.console.expect(/answer 42/, { signal, timeout: '30s' });
    if (index % 2 === 0) return;
    if (how === 'fail') fail('an odd attempt');
    if (how === 'throw' || how === 'failOn') throw new Error('an odd attempt');
  },
});

import { defineScenario, direct } from '@qmpilot/core';

const { TINY_KERNEL: kernel = '', TINY_INITRD: initrd = '' } = process.env;

/** Asks the guest whether its seed is divisible by three: half a second for an attempt, and a failure that hangs on the seed alone. */
export default defineScenario({
  name: 'tiny',
  guest: direct({
    name: 'tiny',
    kernel,
    initrd,
    append: 'console=ttyS0 quiet',
    cpus: 1,
    memoryMiB: 128,
    login: { prompt: /tiny# $/ },
  }),
  async prepare(vm) {
    await vm.console.type('mark=$((6 * 7))\n');
    await vm.console.expect(/tiny# $/);
  },
  async attempt(vm, { seed, report, signal }) {
    if (!vm.console.screen.text().includes('mark=$((6 * 7))'))
      throw new Error('the screen of the fork does not show what the guest has drawn');
    await vm.console.type(`echo "answer $mark $((${seed} % 3))"\n`, { signal });
    const { groups } = await vm.console.expect(/answer 42 (\d)/, { signal, timeout: '30s' });
    if (groups[0] === '0')
      report({ kind: 'bug', severity: 'error', title: 'divisible', signature: 'divisible', at: 1, evidence: [] });
  },
});

import { debian, defineScenario } from '@qmpilot/core';

/** Fails on 6.12 and on no kernel before it. */
export default defineScenario({
  name: 'kernels',
  // QEMU before 8.1 now and then crashes 6.12 on several CPUs.
  boot: { cpus: 1 },
  guest: debian(),
  async attempt(vm, { fail, signal }) {
    const { stdout } = await vm.expectOk('uname -r; modprobe dummy', { signal });
    if (stdout.startsWith('6.12.')) fail('this kernel is not 6.1');
  },
});

import { defineScenario } from '@qmpilot/core';
import queued from './queued.repro.js';

/** The kernel panics in each attempt; the first one keeps the guest's memory. */
export default defineScenario({
  ...queued,
  name: 'panics',
  detect: { kernelLog: true, dump: true },
  async attempt(vm, { signal, watch }) {
    await vm.console.type(
      'busybox mkdir -p /proc && busybox mount -t proc proc /proc && echo c > /proc/sysrq-trigger\n',
      { signal },
    );
    await watch.first({ timeout: '30s', signal });
  },
});

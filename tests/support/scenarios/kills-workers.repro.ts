import { defineScenario } from '@qmpilot/core';
import queued from './queued.repro.js';

/** The second attempt ends the worker that makes it. */
export default defineScenario({
  ...queued,
  name: 'kills-workers',
  async attempt(vm, context) {
    if (context.index === 2) process.kill(process.ppid, 'SIGKILL');
    await vm.console.type('echo still here\n', { signal: context.signal });
  },
});

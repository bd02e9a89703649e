import { debian, defineScenario } from '@qmpilot/core';

const { QMPILOT_BUILD: build, QMPILOT_COMMIT: commit } = process.env;

/** Runs the program that a bisection has installed in the guest. */
export default defineScenario({
  name: 'installed',
  guest: debian({ defect: 'io-uring-unlocked-flush' }),
  boot: { cache: true },
  async prepare(vm) {
    if (build === undefined || commit === undefined) throw new Error('no build');
    await vm.expectOk('test -x /usr/local/bin/program');
  },
  async attempt(vm, { seed, fail, signal }) {
    const { exitCode } = await vm.exec(`program ${seed}`, { signal });
    if (exitCode !== 0) fail('the program failed');
  },
});

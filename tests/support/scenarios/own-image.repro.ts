import { debian, defineScenario } from '@qmpilot/core';

/** A guest whose image each worker builds, or has in its cache. */
export default defineScenario({
  name: 'own-image',
  guest: debian({ defect: 'io-uring-unlocked-flush' }),
  boot: { cache: true },
  cache: true,
  async attempt(vm, { signal }) {
    await vm.expectOk('true', { signal });
  },
});

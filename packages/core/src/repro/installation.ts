import { defineScenario, type Scenario } from './scenario.js';

/** Where the files of a build are in the guest. */
const GUEST_DIR = '/run/qmpilot-build';

/** An installation may start services, and make an initramfs. */
const TIMEOUT = '10m';

/**
 * The same scenario, with a build installed in its guest before `prepare`: the files of `dir` are copied into the guest, and the
 * command runs there.
 */
export function withInstallation(scenario: Scenario, dir: string, command: string): Scenario {
  return defineScenario({
    ...scenario,
    // All that the installation does is in the guest.
    cache: scenario.cache ?? scenario.prepare === undefined,
    async prepare(vm, context) {
      const { signal } = context;
      context.note('installing the build in the guest');
      await vm.copyIn(dir, GUEST_DIR, { signal });
      await vm.expectOk(command, { env: { QMPILOT_OUT: GUEST_DIR }, cwd: GUEST_DIR, timeout: TIMEOUT, signal });
      await scenario.prepare?.(vm, context);
    },
  });
}

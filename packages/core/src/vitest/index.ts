import type { ScreenWaitOptions } from '../console/screen/screen-part.js';
import type { PoweroffOptions } from '../vm/power/poweroff.js';
import type { VmArtifact } from './attach.js';
import type { KernelFindingsOptions } from './kernel-findings.js';

export { createVmTest } from './vm-test.js';
export type { VmTest, VmTestContext, VmTestOptions } from './vm-test.js';
export type { PrepareVmContext, VmGuest } from './vm-guest.js';
export { vmMatchers } from './matchers.js';
export type { MatcherResult } from './matchers.js';
export type { KernelFindingsOptions } from './kernel-findings.js';
export type { VmArtifact } from './attach.js';

declare const artifactKey: unique symbol;

declare module 'vitest' {
  interface Matchers<T> {
    /**
     * Asks the guest of a `Vm` to power off and follows it to its end: passes when that comes within `slowAfter` (1 min by
     * default). Await it. A stall fails with what systemd waits for; `timeout` is 3 min by default, or the rest of the test's time.
     */
    toPowerOffCleanly(options?: PoweroffOptions): Promise<void>;
    /**
     * The kernel of a `Vm` has reported no failure since the test began, or since the VM was restored in it. Await it: it waits until
     * what the kernel has printed so far is here, some 50 ms where the console is silent, 4 s at most.
     */
    toHaveNoKernelFindings(options?: KernelFindingsOptions): Promise<void>;
    /**
     * Waits until the screen of a `Vm` (or `Console`, or `Screen`) shows the text; with `.not`, until it does not. Await it. `timeout`
     * is 30 s by default, or the rest of the test's time.
     */
    toShow(pattern: string | RegExp, options?: ScreenWaitOptions): Promise<void>;
  }
  interface TaskMeta {
    /** Where the evidence of a failed test with a VM is. */
    qmpilot?: { readonly artifacts: string };
  }
  interface TestArtifactRegistry {
    [artifactKey]: VmArtifact;
  }
}

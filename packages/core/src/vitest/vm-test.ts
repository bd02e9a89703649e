import { expect, test as base, type TestAPI } from 'vitest';
import { monotonicMs } from '../util/time/clock.js';
import { parseDuration } from '../util/time/duration.js';
import type { Vm } from '../vm/vm.js';
import type { WatchSpec } from '../vm/watch/watch-spec.js';
import { attachEvidence, hasFailed } from './attach.js';
import { VmEvidence } from './evidence.js';
import { vmMatchers } from './matchers.js';
import { DEFAULT_BOOT_TIMEOUT, startGuest, type VmGuest, type VmGuestOptions } from './vm-guest.js';

/** Options of `createVmTest`. */
export interface VmTestOptions extends VmGuestOptions {
  /** Folder for the evidence of failed tests, from the project's root; `false` writes none. Default `vm-artifacts`. */
  readonly artifacts?: string | false | undefined;
  /** What to look for in each test's VM beside the kernel's log; it counts for `toHaveNoKernelFindings`. */
  readonly watch?: Omit<WatchSpec, 'kernelLog' | 'hungTask'> | undefined;
}

/** The fixtures of a test. */
export interface VmTestContext {
  /** A VM for this test only: forked from the guest's snapshot when the test begins, closed when it ends. */
  readonly vm: Vm;
  /** The guest that the VMs are forked from, one for each worker. `guest.take()` returns further VMs. */
  readonly guest: VmGuest;
}

/** A `test` of Vitest with those fixtures; `test.extend` adds more. */
export type VmTest = TestAPI<VmTestContext>;

const DEFAULT_ARTIFACTS = 'vm-artifacts';
/** So that the guest's own limit, which says more, comes before the hook's. */
const HOOK_MARGIN_MS = 60_000;

/**
 * A `test` whose tests get a running VM of their own: `test('name', async ({ vm }) => ...)`. The guest is booted before the first
 * test of a file, and once for each worker: with Vitest's default `isolate` that is once for each file, unless `cache` is given.
 * Registers the matchers. Call it at the top level of a test file, or of a module that test files import.
 */
export function createVmTest(options: VmTestOptions): VmTest {
  expect.extend(vmMatchers);
  const bootTimeout = parseDuration(options.bootTimeout ?? DEFAULT_BOOT_TIMEOUT, 'bootTimeout');
  const { artifacts = DEFAULT_ARTIFACTS, watch } = options;

  const test: VmTest = base.extend<{ $worker: { guest: VmGuest }; $test: { vm: Vm } }>({
    guest: [
      // eslint-disable-next-line no-empty-pattern
      async ({}, use) => {
        await using guest = await startGuest(options);
        await use(guest);
      },
      { scope: 'worker' },
    ],

    vm: async ({ guest, task, signal }, use) => {
      const deadline = task.timeout > 0 ? monotonicMs() + task.timeout : undefined;
      const onStart = (started: Vm) =>
        void new VmEvidence(started, { timestamped: guest.timestamped, watch, deadline, signal });
      await using vm = await guest.take({ signal, onStart });
      await using evidence = VmEvidence.of(vm);
      // Out of time while the fork was loaded: nobody would end it.
      signal.throwIfAborted();
      await use(vm);
      if (artifacts !== false && evidence && hasFailed(task)) await attachEvidence(task, artifacts, vm, evidence);
    },
  });
  // A test's own time is for the test.
  test.beforeAll(({ guest }) => void guest, bootTimeout + HOOK_MARGIN_MS);
  return test;
}

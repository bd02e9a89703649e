import * as v from 'valibot';
import type { Btf } from '../../../introspect/btf/btf.js';
import { captureGuest, describeCapture, spinningNow } from '../../../introspect/explanation/explain.js';
import type { Explanation } from '../../../introspect/explanation/explanation.js';
import { pause, type WaitOptions } from '../../../util/async/deadline.js';
import { parseDuration, type Duration } from '../../../util/time/duration.js';
import { DURATION, PATH, WAIT } from '../../../util/validation/schemas.js';
import type { VmContext } from '../../context.js';
import { knownKernel, paused, readKernel, readRegisters, withMemory } from './guest-kernel.js';
import type { OpenMemory } from './guest-memory.js';
import { readBtf } from './read-btf.js';

/** Options of `vm.explain`. */
export interface ExplainOptions extends WaitOptions {
  /** A task that has been blocked for less is not stuck, unless it is part of a deadlock; default 2 s, by the guest's clock. */
  readonly minWait?: Duration | undefined;
  /** File with the kernel's type information, for a kernel that has none in memory: `pahole --btf_encode_detached vmlinux.btf vmlinux`. */
  readonly btf?: string | undefined;
}

export const EXPLAIN_OPTIONS = v.strictObject({
  ...WAIT,
  minWait: v.optional(DURATION),
  btf: v.optional(PATH),
} satisfies Record<keyof ExplainOptions, v.GenericSchema>);

/** What `vm.explain` read. */
export interface VmExplanation extends Explanation {
  /** How long the guest was paused for it, in ms. */
  readonly pausedMs: number;
}

/** How long a CPU has to stay in one wait for a spinlock until it counts as spinning. */
const SPIN_MS = 200;

/** Reads from the guest's memory who is stuck, and who holds what they wait for. */
export async function explain(context: VmContext, options: ExplainOptions): Promise<VmExplanation> {
  const { signal, timeout } = options;
  const minWaitMs = parseDuration(options.minWait ?? '2s', 'minWait');
  const btf = readBtf(options.btf);
  return context.turns.runWithin('the explanation', { signal, timeout: timeout ?? '2m' }, async (wait) => {
    const { result, pausedMs } = await withMemory(context.machine, wait, (memory) =>
      explainMemory(context, memory, { minWaitMs, btf }, wait),
    );
    return pausedMs === undefined ? result : { ...result, pausedMs };
  });
}

async function explainMemory(
  { machine: { qmp }, family }: VmContext,
  memory: OpenMemory,
  { minWaitMs, btf }: { readonly minWaitMs: number; readonly btf: Btf | undefined },
  wait: WaitOptions,
): Promise<VmExplanation> {
  const live = await readKernel(qmp, wait, (cpus) => {
    const identity = knownKernel(family, memory, cpus, btf);
    // What is read without a pause is not believed; but it makes the one with the pause short.
    captureGuest({ memory, cpus }, identity);
    return { identity, before: cpus };
  });
  const { identity, before } = live.result;
  if (spinningNow(identity, before)) await pause(SPIN_MS, wait.signal);
  const { result, pausedMs } = await paused(qmp, wait, async () =>
    captureGuest({ memory, cpus: await readRegisters(qmp, wait), before }, identity),
  );
  return { ...describeCapture(result, { minWaitMs }), pausedMs: live.pausedMs + pausedMs };
}

import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';

/**
 * How a machine is saved. `template`: RAM is a shared file that forks map; restored in some 50 ms whatever the size.
 * `file`: RAM is written into the state; needs no RAM file, costs what RAM is in use. `internal`: inside the qcow2 disks of the
 * running QEMU; needs no second QEMU, but cannot be forked or kept.
 */
export type SnapshotStrategy = 'template' | 'file' | 'internal';

export interface StrategyChoice {
  readonly strategy: SnapshotStrategy;
  readonly reason: string;
}

/** QEMU arguments that take something of the host for one process alone. */
const EXCLUSIVE: readonly (readonly [RegExp, string])[] = [
  [/\bhostfwd=/, 'a forwarded port'],
  [/^(?:vfio-|usb-host)|\bvfio-pci\b/, 'a host device'],
  [/\bfds?=\d/, 'an inherited descriptor'],
  [/^(?:unix|tcp|telnet|socket|file|pipe|serial|pty)[:,].*|server(?:=on)?\b/, 'a socket or device of its own'],
];

/** The reason of a strategy that the user named. */
export const REQUESTED = 'requested';

/** Chooses the fastest strategy that the machine allows, or `wanted`. */
export function chooseStrategy(spec: MachineSpec, wanted: SnapshotStrategy | undefined): StrategyChoice {
  if (wanted !== undefined) return { strategy: wanted, reason: REQUESTED };
  const [obstacle] = spec.readBack?.obstacles ?? [];
  if (obstacle)
    return { strategy: 'internal', reason: `this machine cannot be started a second time: ${obstacle.reason}` };
  const exclusive = whyExclusive(spec.extra);
  if (exclusive !== undefined)
    return { strategy: 'internal', reason: `a second QEMU cannot have ${exclusive} that this one was given` };
  if (spec.ram.kind === 'anonymous')
    return { strategy: 'file', reason: 'the RAM of this VM is not in a file that forks could map' };
  return { strategy: 'template', reason: 'forks can map the RAM file' };
}

/** Returns the part of these QEMU arguments that only one process can have; undefined when a second QEMU can have them all. */
export function whyExclusive(extra: readonly string[]): string | undefined {
  return EXCLUSIVE.find(([pattern]) => extra.some((argument) => pattern.test(argument)))?.[1];
}

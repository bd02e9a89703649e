import type { Machine } from '../../qemu/process/machine.js';
import { remedyFor, type SnapshotBlocker } from '../../snapshot/blockers.js';
import { internalBlockers } from '../../snapshot/strategies/internal.js';
import { whyNoRamFile } from '../../snapshot/strategies/ram-file.js';
import { whatBlocks } from '../../snapshot/strategies/save-state.js';
import { chooseStrategy, whyExclusive } from '../../snapshot/strategies/strategy.js';
import { sharedDiskBlockers, writableDisks } from '../../snapshot/writable-disks.js';
import type { VmContext } from '../context.js';
import type { SnapshotOptions } from './options.js';

/** Lists what would make a snapshot of this VM fail. */
export async function listBlockers(
  { slot, family }: VmContext,
  options: SnapshotOptions,
): Promise<readonly SnapshotBlocker[]> {
  const { machine } = slot;
  const { spec } = machine;
  const { strategy } = chooseStrategy(spec, options.strategy);
  const reasons = await whatBlocks(machine.qmp);
  const ofMachine =
    strategy === 'internal'
      ? await internalBlockers(machine)
      : [...(spec.readBack?.obstacles ?? []), ...(await secondQemuBlockers(machine))];
  const ram =
    strategy === 'template' && spec.ram.share !== true ? await whyNoRamFile(family.context, spec.memoryMiB) : undefined;
  return [
    ...reasons.map((reason) => ({ reason, remedy: remedyFor([reason]) })),
    ...ofMachine,
    ...(ram ? [{ reason: ram.message, remedy: ram.hint ?? '' }] : []),
  ];
}

/** Lists arguments and disks of this QEMU that a second one, which forks and templates need, cannot have. */
export async function secondQemuBlockers({ spec, qmp }: Machine): Promise<readonly SnapshotBlocker[]> {
  const exclusive = whyExclusive(spec.extra);
  const disks = sharedDiskBlockers(spec, writableDisks(await qmp.execute('query-block')));
  if (exclusive === undefined) return disks;
  const reason = `a second QEMU cannot have ${exclusive} that this one was given`;
  const remedy = "leave it out of qemuArguments, or use the strategy 'internal', which stays in this QEMU";
  return [{ reason, remedy }, ...disks];
}

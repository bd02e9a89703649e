import { randomBytes } from 'node:crypto';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { Machine } from '../../qemu/process/machine.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import type { SnapshotBlocker } from '../blockers.js';
import { writableDisks, type WritableDisk } from '../writable-disks.js';

/** A snapshot inside the qcow2 overlays of one running machine: it lives and ends with that QEMU. */
export interface InternalSnapshot {
  readonly strategy: 'internal';
  readonly machine: Machine;
  readonly tag: string;
  /** Block nodes that hold it, the first of them the RAM as well. */
  readonly devices: readonly string[];
  /** One of them is an image that outlives the machine. */
  readonly foreign: boolean;
  /** How often the guest had written to each disk that is not in it. */
  readonly written: ReadonlyMap<string, number>;
}

const CONT_MS = 10_000;
const NEEDS_RESET: ReadonlySet<string> = new Set(['shutdown', 'internal-error']);

/** Returns what prevents an internal snapshot, as far as it is known without asking QEMU. */
export async function internalBlockers(machine: Machine): Promise<readonly SnapshotBlocker[]> {
  const { holding, others } = await splitDisks(machine);
  if (holding.length === 0) {
    const [obstacle] = machine.spec.readBack?.obstacles ?? [];
    return [
      {
        reason: 'an internal snapshot needs a writable qcow2 disk to hold the RAM, and this guest has none',
        remedy: obstacle
          ? `give it one (qmpilot.snapshot.stateDiskMiB in NixOS): no other strategy does, for ${obstacle.reason}; to fix that: ${obstacle.remedy}`
          : "use the strategy 'template', which needs no disk",
      },
    ];
  }
  const written = await countWrites(machine, others);
  return others
    .filter(({ node }) => (written.get(node) ?? 0) > 0)
    .map(({ file }) => ({
      reason: `an internal snapshot is stored in qcow2 disks, and the guest writes to a disk in another format (${file}), which would not be restored with the RAM`,
      remedy: 'give it as qcow2: qemu-img convert -O qcow2, or an overlay, qemu-img create -f qcow2 -b',
    }));
}

/** The writable disks of QEMU: those in qcow2, which contain the snapshot, and the others. */
async function splitDisks({
  qmp,
}: Machine): Promise<{ readonly holding: readonly WritableDisk[]; readonly others: readonly WritableDisk[] }> {
  const disks = writableDisks(await qmp.execute('query-block'));
  return {
    holding: disks.filter(({ format }) => format === 'qcow2'),
    others: disks.filter(({ format }) => format !== 'qcow2'),
  };
}

/** The number of writes of the guest to each disk since QEMU's start. */
async function countWrites({ qmp }: Machine, disks: readonly WritableDisk[]): Promise<ReadonlyMap<string, number>> {
  if (disks.length === 0) return new Map();
  const stats = await qmp.execute('query-blockstats');
  return new Map(
    disks.map(({ node }) => [node, stats.find((one) => one['node-name'] === node)?.stats.wr_operations ?? 0]),
  );
}

/**
 * Saves RAM, devices and disks into the machine's overlays (QMP `snapshot-save`).
 * @throws {SNAPSHOT} without a disk that can hold it, or with one that cannot and is written to
 * @throws {QMP_JOB} {TIMEOUT} {ABORTED} {QMP_LINK}
 */
export async function saveInternal(machine: Machine, options: WaitOptions): Promise<InternalSnapshot> {
  const [blocker] = await internalBlockers(machine);
  if (blocker)
    throw new QmpilotError('SNAPSHOT', `this VM cannot be saved: ${blocker.reason}`, { hint: blocker.remedy });
  // In a disk image of others it may meet those of another process.
  const tag = `qmpilot-${randomBytes(6).toString('hex')}`;
  const { holding, others } = await splitDisks(machine);
  const devices = holding.map(({ node }) => node);
  const [vmstate = ''] = devices;
  const before = await countWrites(machine, others);
  await machine.qmp.runJob('snapshot-save', { 'job-id': `save-${tag}`, tag, vmstate, devices }, options);
  const foreign = holding.some(
    ({ node }) => !machine.spec.disks.some((disk) => (disk.node ?? disk.id) === node && !disk.foreign),
  );
  return { strategy: 'internal', machine, tag, devices, written: before, foreign };
}

/**
 * The machine is paused afterwards; when it fails it runs on if it ran.
 * @throws {SNAPSHOT} {TIMEOUT} {QMP_LINK}
 * @throws {ABORTED} before it has begun: QEMU does not stop in the middle
 */
export async function loadInternal(machine: Machine, snapshot: InternalSnapshot, options: WaitOptions): Promise<void> {
  const { qmp } = machine;
  if (machine !== snapshot.machine || machine.process.exit) {
    throw new QmpilotError('SNAPSHOT', 'this internal snapshot belongs to a QEMU that has ended or was replaced', {
      hint: "use the strategy 'template': its snapshots outlive the machine",
    });
  }
  const { running, status } = await qmp.execute('query-status', undefined, options);
  if (NEEDS_RESET.has(status)) await reset(machine, options);
  else await qmp.execute('stop', undefined, { timeout: options.timeout });
  try {
    // Nothing is written any more by now.
    await mustBeAsSaved(machine, snapshot);
    const { tag, devices } = snapshot;
    await qmp.runJob(
      'snapshot-load',
      { 'job-id': `load-${tag}`, tag, 'vmstate': devices[0] ?? '', devices },
      { timeout: options.timeout },
    );
  } catch (error) {
    if (running) await qmp.execute('cont', undefined, { patience: CONT_MS }).catch(() => {});
    if (!isQmpilotError(error, 'QMP_JOB')) throw error;
    throw new QmpilotError('SNAPSHOT', `the internal snapshot does not load: ${error.message}`, {
      cause: error,
      evidence: error.evidence,
    });
  }
}

async function mustBeAsSaved(machine: Machine, { written }: InternalSnapshot): Promise<void> {
  const { others } = await splitDisks(machine);
  const now = await countWrites(machine, others);
  const changed = others.find(({ node }) => now.get(node) !== (written.get(node) ?? 0));
  if (!changed) return;
  throw new QmpilotError(
    'SNAPSHOT',
    `the guest has written to a disk that is not in this internal snapshot (${changed.file}): its RAM no longer matches that disk`,
    {
      hint: 'give that disk as qcow2, and save again',
    },
  );
}

/** QEMU lets a guest that has come to such an end run on by a reset alone (runstate_needs_reset of its system/runstate.c). */
async function reset({ qmp }: Machine, options: WaitOptions): Promise<void> {
  const done = qmp.waitFor('RESET', { signal: options.signal, timeout: options.timeout ?? CONT_MS });
  done.catch(() => {});
  await qmp.execute('system_reset', undefined, options);
  await done;
}

export async function removeInternal(
  { machine, tag, devices }: InternalSnapshot,
  options: WaitOptions = {},
): Promise<void> {
  if (machine.process.exit) return;
  await machine.qmp.runJob('snapshot-delete', { 'job-id': `delete-${tag}`, tag, devices }, options);
}

import { access, rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../../../errors.js';
import type { QmpClient } from '../../../qmp/client.js';
import { pause, type WaitOptions } from '../../../util/async/deadline.js';
import { hostError } from '../../../util/files/host-error.js';
import { WAIT } from '../../../util/validation/schemas.js';
import type { VmContext } from '../../context.js';

const FORMATS = ['elf', 'kdump-zlib', 'kdump-lzo', 'kdump-snappy'] as const;

/** Options of `vm.dump`. */
export interface DumpOptions extends WaitOptions {
  /** `elf` (default) is as large as the guest's memory, and what `explainDump` reads; the others are compressed, where QEMU can. */
  readonly format?: (typeof FORMATS)[number] | undefined;
  /** Called while QEMU writes, with bytes of memory. */
  readonly onProgress?: ((progress: { readonly completed: number; readonly total: number }) => void) | undefined;
}

export const DUMP_OPTIONS = v.strictObject({
  ...WAIT,
  format: v.optional(v.picklist(FORMATS)),
  onProgress: v.optional(v.function()),
} satisfies Record<keyof DumpOptions, v.GenericSchema>);

const INTERVAL_MS = 100;
/** QEMU cannot cancel a dump: who gives up waits for its end, without a limit of its own. */
const NO_LIMIT = { timeout: undefined } as const;

/** Writes the guest's memory to a new file. */
export async function dump(context: VmContext, path: string, options: DumpOptions): Promise<void> {
  const target = resolve(path);
  const { format = 'elf', onProgress, signal, timeout } = options;
  await context.turns.take('the dump', { signal, timeout: timeout ?? '10m' }, async (wait) => {
    const { qmp } = context.machine;
    const exists = await access(target).then(
      () => true,
      () => false,
    );
    if (exists) throw new QmpilotError('ALREADY_EXISTS', `cannot dump to ${target}: it already exists`);
    const part = `${target}.part`;
    try {
      // QEMU would create it with the mode that the umask leaves: a guest's memory is nobody else's.
      await writeFile(part, '', { mode: 0o600, flag: 'wx' });
    } catch (cause) {
      throw hostError(`cannot dump to ${target}`, cause);
    }
    try {
      const { running } = await qmp.execute('query-status', undefined, wait);
      const parameters = { paging: false, protocol: `file:${part}`, detach: true, format };
      await qmp.execute('dump-guest-memory', parameters, wait);
      const failure = await written(qmp, onProgress).catch((error: unknown) => error);
      await over(qmp, running);
      if (failure !== undefined) throw failure;
      wait.signal?.throwIfAborted();
      await rename(part, target);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  });
}

/** A dump is completed before QEMU lets the guest run again and permits the next dump, or a snapshot. */
async function over(qmp: QmpClient, running: boolean): Promise<void> {
  for (;;) {
    const status = await qmp.execute('query-status', undefined, NO_LIMIT);
    const { 'blocked-reasons': reasons = [] } = await qmp.execute('query-migrate', undefined, NO_LIMIT);
    if (status.running === running && !reasons.some((reason) => reason.includes('dump-guest-memory'))) return;
    await pause(INTERVAL_MS / 10, undefined);
  }
}

async function written(qmp: QmpClient, onProgress: DumpOptions['onProgress']): Promise<void> {
  for (;;) {
    const { status, completed, total } = await qmp.execute('query-dump', undefined, NO_LIMIT);
    onProgress?.({ completed, total });
    if (status === 'completed') return;
    if (status !== 'active') {
      throw new QmpilotError('QMP_COMMAND', `QEMU did not write the dump: its status is ${status}`, {
        hint: 'is there room for the memory of the guest?',
      });
    }
    await pause(INTERVAL_MS, undefined);
  }
}

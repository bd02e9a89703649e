import { access, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../../../errors.js';
import type { QmpClient } from '../../../qmp/client.js';
import { NO_TIMEOUT } from '../../../qmp/protocol/timeouts.js';
import { pause, type WaitOptions } from '../../../util/async/deadline.js';
import { errnoOf, hostError } from '../../../util/files/host-error.js';
import { PATH, WAIT } from '../../../util/validation/schemas.js';
import { validate } from '../../../util/validation/validate.js';
import type { VmContext } from '../../context.js';

const FORMATS = ['elf', 'kdump-zlib', 'kdump-lzo', 'kdump-snappy'] as const;

/** Options of `vm.dump`. */
export interface DumpOptions extends WaitOptions {
  /** `elf` (default) is as large as the guest's memory, and what `explainDump` reads; the others are compressed, where QEMU can. */
  readonly format?: (typeof FORMATS)[number] | undefined;
  /**
   * `elf` only: also tells at which virtual addresses the memory is mapped, which gdb and drgn before 0.0.31 need. QEMU follows the guest's page
   * tables for it, and may take gigabytes of memory for those of a large or hostile guest; default false.
   */
  readonly paging?: boolean | undefined;
  /** Called while QEMU writes, with bytes of memory. */
  readonly onProgress?: ((progress: { readonly completed: number; readonly total: number }) => void) | undefined;
}

export const DUMP_OPTIONS = v.strictObject({
  ...WAIT,
  format: v.optional(v.picklist(FORMATS)),
  paging: v.optional(v.boolean()),
  onProgress: v.optional(v.function()),
} satisfies Record<keyof DumpOptions, v.GenericSchema>);

const INTERVAL_MS = 100;
/** QEMU cannot cancel a dump, nor the command that begins one: a caller that gives up waits for the end, without a limit. */
const NO_LIMIT = { timeout: NO_TIMEOUT } as const;

/** Writes the guest's memory to a new file. */
export async function dump(context: VmContext, path: string, options: DumpOptions): Promise<void> {
  validate(PATH, path, 'dump: path');
  const target = resolve(path);
  const { format = 'elf', paging = false, onProgress, signal, timeout } = options;
  if (paging && format !== 'elf')
    throw new QmpilotError('USAGE', `dump: paging is for the format elf, not for ${format}`);
  await context.turns.runWithin('the dump', { signal, timeout: timeout ?? '10m' }, async (wait) => {
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
      if (errnoOf(cause) !== 'ENOENT') throw hostError(`cannot dump to ${target}`, cause);
      throw new QmpilotError('NOT_FOUND', `cannot dump to ${target}: directory ${dirname(target)} not found`, {
        cause,
      });
    }
    try {
      wait.signal?.throwIfAborted();
      await writeDump(context.machine.qmp, { file: part, format, paging }, onProgress);
      wait.signal?.throwIfAborted();
      await rename(part, target);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  });
}

async function writeDump(
  qmp: QmpClient,
  {
    file,
    format,
    paging,
  }: { readonly file: string; readonly format: (typeof FORMATS)[number]; readonly paging: boolean },
  onProgress: DumpOptions['onProgress'],
): Promise<void> {
  let reason: string | undefined;
  const unsubscribe = qmp.on('DUMP_COMPLETED', ({ data: { result, error } }) => {
    reason = result.status === 'completed' ? undefined : (error ?? `its status is ${result.status}`);
  });
  try {
    const parameters = { paging, protocol: `file:${file}`, detach: true, format };
    await qmp.execute('dump-guest-memory', parameters, NO_LIMIT);
    const failure = await written(qmp, onProgress).catch((error: unknown) => error);
    await over(qmp);
    if (failure !== undefined) throw failure;
    if (reason === undefined) return;
    const full = /No space left|quota exceeded/i.test(reason);
    throw new QmpilotError(full ? 'NO_SPACE' : 'QMP_COMMAND', `QEMU did not write the dump: ${reason}`);
  } finally {
    unsubscribe();
  }
}

/** Waits until QEMU writes no more, whether it has written all or not. */
async function written(qmp: QmpClient, onProgress: DumpOptions['onProgress']): Promise<void> {
  for (;;) {
    const { status, completed, total } = await qmp.execute('query-dump', undefined, NO_LIMIT);
    onProgress?.({ completed, total });
    if (status !== 'active') return;
    await pause(INTERVAL_MS, undefined);
  }
}

/**
 * Waits for what follows: QEMU sends DUMP_COMPLETED, lets the guest run again, and permits the next dump, or a snapshot. The guest may
 * stop at once for a reason of its own, such as a full disk.
 */
async function over(qmp: QmpClient): Promise<void> {
  while ((await qmp.execute('query-status', undefined, NO_LIMIT)).status === 'save-vm')
    await pause(INTERVAL_MS / 10, undefined);
  for (;;) {
    // QEMU's dump thread removes its reason from the list that query-migrate reads as soon as the guest runs, without a lock. QEMU 7.2 crashed when
    // the list was read at that moment.
    await pause(INTERVAL_MS / 10, undefined);
    const { 'blocked-reasons': reasons = [] } = await qmp.execute('query-migrate', undefined, NO_LIMIT);
    if (!reasons.some((reason) => reason.includes('dump-guest-memory'))) return;
  }
}

import { QmpilotError } from '@qmpilot/core';
import { list, type NamedVm } from '../../daemon/state.js';

/** The VMs that `stop` or `rm` was asked for: those named, or with `--all` those that fit. */
export async function chooseVms(
  verb: string,
  names: readonly string[],
  all: boolean,
  fits: (vm: NamedVm) => boolean,
): Promise<readonly string[]> {
  if (!all && names.length === 0)
    throw new QmpilotError('USAGE', `${verb}: no VM given`, {
      hint: 'name VMs as qmpilot ps shows them, or use --all',
    });
  return all ? (await list()).filter(fits).map(({ record }) => record.name) : names;
}

import * as v from 'valibot';
import { PATH } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import type { VmSnapshot } from '../vm.js';
import type { OpenSnapshotOptions } from './open-saved-snapshot.js';

const OPEN_OPTIONS = v.strictObject({ qemu: v.optional(PATH) } satisfies Record<
  keyof OpenSnapshotOptions,
  v.GenericSchema
>);

/**
 * A snapshot that `snapshot.save(path)` wrote: makes forks and pools without booting. It has to be closed; its forks go on.
 * @throws {NOT_FOUND} when there is none at `path`
 * @throws {SNAPSHOT} when it is incomplete, an image it reads from has changed, or another QEMU or host saved it
 * @throws {TOOL_MISSING} {NO_SPACE}
 */
export async function openSnapshot(path: string, options: OpenSnapshotOptions = {}): Promise<VmSnapshot> {
  validate(PATH, path, 'openSnapshot: path');
  validate(OPEN_OPTIONS, options, 'openSnapshot: options');
  const { openSavedSnapshot } = await import('./open-saved-snapshot.js');
  return openSavedSnapshot(path, options);
}

import { readFileSync } from 'node:fs';
import { QmpilotError } from '../../../errors.js';
import { Btf } from '../../../introspect/btf/btf.js';
import { hostError } from '../../../util/files/host-error.js';

/**
 * Reads a kernel's type information from a file of the host; undefined when none is given.
 * @throws {USAGE} when it is none
 * @throws {IO} when it cannot be read
 */
export function readBtf(path: string | undefined): Btf | undefined {
  if (path === undefined) return undefined;
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw hostError('cannot read the type information of the kernel', cause);
  }
  const btf = Btf.parse(bytes);
  if (btf) return btf;
  throw new QmpilotError('USAGE', `${path} is not type information (BTF)`, {
    hint: 'create it with pahole --btf_encode_detached vmlinux.btf vmlinux',
  });
}

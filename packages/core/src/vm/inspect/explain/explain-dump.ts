import { statSync } from 'node:fs';
import * as v from 'valibot';
import { QmpilotError } from '../../../errors.js';
import { readElfCore } from '../../../introspect/dump/elf-core.js';
import { captureGuest, describeCapture } from '../../../introspect/explanation/explain.js';
import type { Explanation } from '../../../introspect/explanation/explanation.js';
import { findKernel } from '../../../introspect/kernel.js';
import { withReadAt } from '../../../util/files/read-at.js';
import { parseDuration, type Duration } from '../../../util/time/duration.js';
import { DURATION, PATH } from '../../../util/validation/schemas.js';
import { validate } from '../../../util/validation/validate.js';
import { readBtf } from './read-btf.js';

/** Options of `explainDump`. */
export interface ExplainDumpOptions {
  /** A task that had been blocked for less is not stuck, unless it is part of a deadlock; default 2 s, by the guest's clock. */
  readonly minWait?: Duration | undefined;
  /** File with the kernel's type information, for a kernel that has none in memory. */
  readonly btf?: string | undefined;
}

const OPTIONS = v.strictObject({
  minWait: v.optional(DURATION),
  btf: v.optional(PATH),
} satisfies Record<keyof ExplainDumpOptions, v.GenericSchema>);

/**
 * Reads from a dump of a guest's memory, as `vm.dump` writes it, who is stuck and who holds what they wait for.
 * @throws {USAGE} when the file is no such dump (in ELF, of an x86-64 machine), or holds no kernel that can be read
 * @throws {IO} when it cannot be read
 */
export function explainDump(path: string, options: ExplainDumpOptions = {}): Explanation {
  validate(PATH, path, 'explainDump: path');
  validate(OPTIONS, options, 'explainDump: options');
  const minWaitMs = parseDuration(options.minWait ?? '2s', 'minWait');
  const btf = readBtf(options.btf);
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) throw noDump(path);
  return withReadAt(path, (read) => {
    const core = readElfCore(read);
    if (!core || core.cpus.length === 0) throw noDump(path);
    const memory = {
      read(address: number, length: number) {
        const piece = core.pieces.find(
          (one) => address >= one.physical && address + length <= one.physical + one.length,
        );
        return piece && read(piece.position + address - piece.physical, length);
      },
    };
    const { cpus } = core;
    return describeCapture(captureGuest({ memory, cpus }, findKernel(memory, cpus, btf)), { minWaitMs });
  });
}

function noDump(path: string): QmpilotError {
  return new QmpilotError('USAGE', `${path} is not a memory dump that QEMU wrote as ELF of an x86-64 machine`, {
    hint: "write one with vm.dump(path), or QMP's dump-guest-memory without a format",
  });
}

import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { QmpilotError } from '../../../errors.js';
import { findVmcoreinfo } from '../../../introspect/vmlinux/vmcoreinfo.js';
import { readVmlinux, type VmlinuxFacts } from '../../../introspect/vmlinux/vmlinux.js';
import { hostError } from '../../../util/files/host-error.js';
import { withReadAt } from '../../../util/files/read-at.js';
import { which } from '../../../util/files/which.js';
import { PATH, WAIT } from '../../../util/validation/schemas.js';
import { validate } from '../../../util/validation/validate.js';

/** The file with a kernel's symbols and debug information. */
export interface Vmlinux extends VmlinuxFacts {
  readonly path: string;
}

/** Which kernel is wanted: as `vm.kernel()` or `readVmcoreinfo` tells. */
export interface WantedKernel {
  readonly release: string;
  readonly buildId?: string;
}

/** Where `findVmlinux` looks. */
export interface FindVmlinuxOptions {
  /** This file, or `vmlinux` of this built tree, and nowhere else. */
  readonly path?: string | undefined;
  /** Folder of installed debug symbols; default `/usr/lib/debug`. */
  readonly debugFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS = v.strictObject({
  path: v.optional(PATH),
  debugFolder: v.optional(PATH),
  signal: WAIT.signal,
} satisfies Record<keyof FindVmlinuxOptions, v.GenericSchema>);

/** The VMCOREINFO of a dump is behind its headers and the notes of its CPUs. */
const BEGINNING = 4 * 2 ** 20;

/**
 * Finds the vmlinux of a kernel on this host, by its build id: among installed `-dbg` packages, in the tree it was built in, or by debuginfod where
 * `$DEBUGINFOD_URLS` is set.
 * @throws {NOT_FOUND} when there is none, with what to install
 * @throws {USAGE} when the file that `path` names is of another kernel, or is no vmlinux
 * @throws {IO}
 */
export async function findVmlinux(kernel: WantedKernel, options: FindVmlinuxOptions = {}): Promise<Vmlinux> {
  validate(OPTIONS, options, 'findVmlinux: options');
  const { path, debugFolder = '/usr/lib/debug', signal } = options;
  const { release, buildId } = kernel;
  if (path !== undefined) return named(path, kernel);
  for (const candidate of candidates(kernel, debugFolder)) {
    const facts = tryRead(candidate);
    if (facts?.debugInfo && matches(facts, kernel)) return { path: candidate, ...facts };
  }
  const fetched = buildId === undefined ? undefined : await byDebuginfod(buildId, signal);
  const facts = fetched === undefined ? undefined : tryRead(fetched);
  if (fetched !== undefined && facts) return { path: fetched, ...facts };
  throw new QmpilotError(
    'NOT_FOUND',
    `no vmlinux of the kernel ${release} found${buildId === undefined ? '' : ` (build id ${buildId})`}`,
    {
      hint: `on Debian: apt-get install linux-image-${release}-dbg; or name the file or the built tree (--vmlinux), or set $DEBUGINFOD_URLS`,
    },
  );
}

/**
 * Reads from a dump, in ELF or of kdump, which kernel it is of.
 * @throws {USAGE} when the guest had not told: it takes QEMU's device `vmcoreinfo`, and the module `qemu_fw_cfg` in the guest
 * @throws {IO}
 */
export function readVmcoreinfo(dump: string): WantedKernel {
  const beginning = withReadAt(dump, (read, size) => read(0, Math.min(BEGINNING, size)) ?? Buffer.alloc(0));
  const found = findVmcoreinfo(beginning);
  if (found) return found;
  throw new QmpilotError('USAGE', `the dump ${dump} does not tell which kernel it is of: it has no VMCOREINFO`, {
    hint: 'load the module qemu_fw_cfg in the guest before it is dumped, or name its vmlinux (--vmlinux)',
  });
}

function named(path: string, kernel: WantedKernel): Vmlinux {
  const file = isFolder(path) ? join(path, 'vmlinux') : path;
  const facts = withReadAt(file, readVmlinux);
  if (!facts) throw new QmpilotError('USAGE', `${file} is not a vmlinux: an ELF file of a kernel`);
  if (matches(facts, kernel)) return { path: file, ...facts };
  throw new QmpilotError(
    'USAGE',
    `${file} is of another kernel: its build id is ${facts.buildId ?? 'missing'}, that of ${kernel.release} is ${kernel.buildId}`,
  );
}

function matches(facts: VmlinuxFacts, { buildId }: WantedKernel): boolean {
  return buildId === undefined || facts.buildId === buildId;
}

function candidates({ release, buildId }: WantedKernel, debug: string): string[] {
  return [
    ...(buildId === undefined ? [] : [join(debug, '.build-id', buildId.slice(0, 2), `${buildId.slice(2)}.debug`)]),
    // Debian's -dbg packages; then Fedora's, and Ubuntu's.
    join(debug, 'boot', `vmlinux-${release}`),
    join(debug, 'lib/modules', release, 'vmlinux'),
    `/lib/modules/${release}/build/vmlinux`,
    `/boot/vmlinux-${release}`,
  ];
}

async function byDebuginfod(buildId: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  const program = process.env['DEBUGINFOD_URLS'] ? await which('debuginfod-find') : undefined;
  if (program === undefined) return undefined;
  try {
    const { stdout } = await promisify(execFile)(program, ['debuginfo', buildId], { signal });
    return stdout.trim() || undefined;
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

function tryRead(path: string): VmlinuxFacts | undefined {
  try {
    return withReadAt(path, readVmlinux);
  } catch {
    return undefined;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw hostError(`cannot read ${path}`, cause);
  }
}

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AbortedError, QmpilotError } from '../../errors.js';
import { which } from '../../qemu/host/binary.js';

const run = promisify(execFile);

export interface NpmPackage {
  /** `name@version`. */
  readonly spec: string;
  /** `sha512-...` in base64, as lockfiles have it. */
  readonly integrity: string;
}

export interface PackedPackage extends NpmPackage {
  readonly file: string;
  readonly bytes: Buffer;
}

/** The packages of a lockfile (version 2 or 3), each once. */
export async function lockedPackages(lockfile: string): Promise<NpmPackage[]> {
  const lock: unknown = JSON.parse(await readFile(lockfile, 'utf8'));
  const packages = typeof lock === 'object' && lock !== null && 'packages' in lock ? lock.packages : undefined;
  const found = new Map<string, NpmPackage>();
  for (const [path, value] of Object.entries(isRecord(packages) ? packages : {})) {
    if (path === '' || !isRecord(value)) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const spec = `${name}@${String(value['version'])}`;
    found.set(spec, { spec, integrity: String(value['integrity']) });
  }
  return [...found.values()];
}

/**
 * Fetches packages by `npm pack`, from whatever registry npm is set to, and checks each against its integrity.
 * @throws {TOOL_MISSING} without npm
 * @throws {GUEST_BUILD} when npm fails, or a package is not the one expected
 * @throws {NO_SPACE} {ABORTED}
 */
export async function fetchPackages(
  packages: readonly NpmPackage[],
  directory: string,
  signal: AbortSignal | undefined,
): Promise<PackedPackage[]> {
  const npm = await which('npm');
  if (!npm)
    throw new QmpilotError('TOOL_MISSING', 'npm is not on PATH: the packages of the guest cannot be fetched', {
      hint: 'it comes with Node.js',
    });
  await mkdir(directory, { recursive: true });
  const specs = packages.map(({ spec }) => spec);
  try {
    await run(npm, ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory, ...specs], {
      cwd: directory,
      signal,
      maxBuffer: 1 << 26,
    });
  } catch (cause) {
    if (signal?.aborted) throw new AbortedError('npm to fetch the packages of the guest', signal.reason);
    const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n') : [];
    if (stderr.some((line) => /ENOSPC|no space left on device/i.test(line)))
      throw new QmpilotError('NO_SPACE', 'no room for the packages of the guest', {
        cause,
        evidence: { stderr: stderr.slice(-20) },
        hint: 'free some room in TMPDIR, or set TMPDIR',
      });
    throw new QmpilotError(
      'GUEST_BUILD',
      `npm could not fetch the packages of the guest: ${stderr.at(-1) ?? String(cause)}`,
      {
        cause,
        evidence: { stderr: stderr.slice(-20) },
        hint: 'is npm on PATH, and does `npm ping` reach its registry?',
      },
    );
  }
  const byIntegrity = new Map<string, { file: string; bytes: Buffer }>();
  for (const name of await readdir(directory)) {
    const file = join(directory, name);
    const bytes = await readFile(file);
    byIntegrity.set(`sha512-${createHash('sha512').update(bytes).digest('base64')}`, { file, bytes });
  }
  return packages.map((wanted) => {
    const found = byIntegrity.get(wanted.integrity);
    if (found) return { ...wanted, ...found };
    throw new QmpilotError(
      'GUEST_BUILD',
      `the registry's ${wanted.spec} is not the package that was expected (${wanted.integrity})`,
      {
        hint: 'is the registry that npm is set to an honest mirror?',
      },
    );
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AbortedError, QmpilotError } from '../../errors.js';
import { retry } from '../../util/async/retry.js';
import { requireProgram } from '../../util/files/which.js';
import { isObject } from '../../util/validation/is-object.js';

const run = promisify(execFile);

/** Error codes of npm that a registry or network with a short failure causes. */
const TRANSIENT = new RegExp(
  [
    // no answer
    'EAI_AGAIN|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ESOCKETTIMEDOUT|ERR_SOCKET_TIMEOUT',
    // too many requests, server errors
    'E429|E5\\d\\d',
  ]
    .map((codes) => `\\b(?:${codes})\\b`)
    .join('|'),
);

/** A line of npm that comes before the sentence which says what failed. */
const DETAIL = /^npm (?:error|ERR!) (?:code|syscall|errno|path|dest)\b/;

/** Retries are ours: npm's own wait for minutes without a network, also for packages that are in its cache. */
const NPM_OPTIONS = ['--loglevel=error', '--ignore-scripts', '--prefer-offline', '--fetch-retries=0'];

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
  for (const [path, value] of Object.entries(isObject(packages) ? packages : {})) {
    if (path === '' || !isObject(value)) continue;
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
  const npm = await requireProgram('npm', 'it comes with Node.js, and fetches the packages of the guest');
  await mkdir(directory, { recursive: true });
  const specs = packages.map(({ spec }) => spec);
  try {
    await retry(
      () =>
        run(npm, ['pack', ...NPM_OPTIONS, '--pack-destination', directory, ...specs], {
          cwd: directory,
          signal,
          maxBuffer: 1 << 26,
        }),
      { retries: 2, delay: 1000, factor: 3, when: isTransient, signal },
    );
  } catch (cause) {
    if (signal?.aborted) throw new AbortedError('npm to fetch the packages of the guest', signal.reason);
    const stderr = stderrOf(cause);
    if (stderr.some((line) => /ENOSPC|no space left on device/i.test(line)))
      throw new QmpilotError('NO_SPACE', 'no room for the packages of the guest', {
        cause,
        evidence: { stderr: stderr.slice(-20) },
        hint: 'free some room in TMPDIR, or set TMPDIR',
      });
    throw new QmpilotError(
      'GUEST_BUILD',
      `npm could not fetch the packages of the guest: ${stderr.find((line) => !DETAIL.test(line)) ?? String(cause)}`,
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
        hint: 'check the registry that npm is set to: it may serve altered packages',
      },
    );
  });
}

function isTransient(error: unknown): boolean {
  return stderrOf(error).some((line) => TRANSIENT.test(line));
}

function stderrOf(error: unknown): string[] {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return text.split('\n').filter((line) => line !== '' && !line.includes('A complete log of this run'));
}

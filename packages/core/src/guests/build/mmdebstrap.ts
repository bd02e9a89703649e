import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { QmpilotError } from '../../errors.js';
import { which } from '../../util/files/which.js';
import { noRoomError } from './make-image.js';
import { runGroup } from './run-group.js';

export interface MmdebstrapRun {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** For error messages. */
  readonly suite: string;
  readonly onLine: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws {TOOL_MISSING} without mmdebstrap, or without what it needs as a plain user
 * @throws {NO_SPACE} {GUEST_BUILD} when it fails, with its last lines
 * @throws {ABORTED}: everything it started is gone
 */
export async function runMmdebstrap(run: MmdebstrapRun): Promise<void> {
  const path = await which('mmdebstrap');
  if (!path) {
    throw new QmpilotError('TOOL_MISSING', 'mmdebstrap is not on PATH: the Debian image cannot be built', {
      hint: 'on Debian: apt-get install mmdebstrap uidmap qemu-utils e2fsprogs',
    });
  }
  if (process.getuid?.() !== 0 && !(await which('newuidmap'))) {
    throw new QmpilotError('TOOL_MISSING', 'newuidmap is not on PATH: mmdebstrap needs it when it is not run by root', {
      hint: 'on Debian: apt-get install uidmap',
    });
  }
  const what = 'mmdebstrap to build the image';
  const { status, lines } = await runGroup(
    (await canIsolate())
      ? {
          ...run,
          program: 'unshare',
          args: [...ISOLATED, path, ...run.args],
          env: { ...run.env, TMPDIR: run.cwd },
          what,
        }
      : { ...run, program: path, what },
  );
  if (status !== 0) throw buildError(status, lines, run.suite);
}

/**
 * Namespaces in which mmdebstrap runs for root: what it mounts in its tree (/dev/shm, /proc, /sys) is mounted nowhere else and goes with
 * it, also when it is killed. For a plain user it makes namespaces of its own.
 */
const ISOLATED = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

async function canIsolate(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  return promisify(execFile)('unshare', [...ISOLATED, 'true']).then(
    () => true,
    () => false,
  );
}

/** The packages that apt does not find, or not in the version that was asked for. */
export function missingPackages(text: string): string[] {
  const found = text.matchAll(
    /^E: (?:Unable to locate package (\S+)|Package '([^']+)' has no installation|Version '([^']+)' for '([^']+)' was not found|Couldn't find any package by (?:glob|regex) '([^']+)')/gm,
  );
  const names = [...found].map(([, one, two, version, name, other]) =>
    version === undefined ? (one ?? two ?? other ?? '') : `${name}=${version}`,
  );
  return [...new Set(names)];
}

/** Passes on the lines that tell a person how far the build is. */
export function progressOf(say: (what: string) => void): (line: string) => void {
  return (line) => {
    const known =
      /^qmpilot: (.{1,200})$|^I: ((?:installing|extracting|downloading|running apt).{1,200})$|^(setup: .{1,200})$/.exec(
        line,
      );
    if (known) say(known[1] ?? known[2] ?? known[3] ?? '');
  };
}

function buildError(status: number | string, lines: readonly string[], suite: string): QmpilotError {
  const said = lines.find((line) => /^E: |No space left|error/i.test(line)) ?? lines.at(-1) ?? 'nothing';
  const text = lines.join('\n');
  const details = { evidence: { stderr: lines.slice(-20) } };
  if (/No space left on device/.test(text)) return noRoomError(details);
  const setup = /^qmpilot-setup-failed: (\d+)$/m.exec(text)?.[1];
  if (setup !== undefined) {
    const output = lines.filter((line) => line.startsWith('setup: ')).map((line) => line.slice('setup: '.length));
    const last = output.at(-1);
    return new QmpilotError(
      'GUEST_BUILD',
      `the setup script ended with ${setup}${last === undefined ? ', and printed nothing' : `: ${last}`}`,
      {
        evidence: { stderr: output.slice(-20) },
        hint: 'it runs as root in the file system of the image, where no service runs; its last lines are in the evidence',
      },
    );
  }
  if (text.includes('qmpilot-disk-too-small'))
    return new QmpilotError('GUEST_BUILD', 'the disk of the image is too small for its packages and files', {
      ...details,
      hint: "give it a larger root file system: diskSize: '8G'",
    });
  const names = missingPackages(text);
  if (names.length > 0) {
    return new QmpilotError('GUEST_BUILD', `not found in Debian ${suite}: ${names.join(', ')}`, {
      ...details,
      hint: 'check the names of the packages: apt-cache search on a Debian of this release lists them',
    });
  }
  if (/does not have a Release file|404 {2}Not Found/.test(text) && /Release/.test(text))
    return new QmpilotError('GUEST_BUILD', `the mirror has no Debian release "${suite}"`, {
      ...details,
      hint: 'releases are named bookworm, trixie, sid, ...',
    });
  const network =
    /Could not resolve.*|Temporary failure.*|Unable to connect.*|Connection refused|Network is unreachable|Failed to fetch.*/i.exec(
      text,
    )?.[0];
  if (network !== undefined)
    return new QmpilotError('GUEST_BUILD', `cannot fetch packages of Debian ${suite}: ${network}`, {
      ...details,
      hint: 'check the network, the proxy (http_proxy, or Acquire::http::Proxy of apt), and whether apt-get update works here',
    });
  return new QmpilotError('GUEST_BUILD', `mmdebstrap ended with ${status}: ${said}`, {
    ...details,
    hint: 'its last lines are in the evidence; as a plain user it needs user namespaces (and entries in /etc/subuid and /etc/subgid)',
  });
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { QmpilotError } from '../../errors.js';
import { which } from '../../util/files/which.js';

const run = promisify(execFile);

/** QEMU's version, and the text that it was read from. */
export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
  readonly micro: number;
  /** As QEMU prints it: `7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`. */
  readonly text: string;
}

/** A QEMU that was found: its path and its version. */
export interface QemuBinary {
  readonly path: string;
  readonly version: QemuVersion;
}

/** The oldest QEMU that the tests run on. */
const OLDEST_QEMU = '7.2';

/** @throws {TOOL_MISSING} when the text is not QEMU's `--version` */
function parseQemuVersion(output: string): QemuVersion {
  const match = /QEMU emulator version ((\d+)\.(\d+)\.(\d+)[^\n]*)/.exec(output);
  if (!match) {
    throw new QmpilotError(
      'TOOL_MISSING',
      `this is not a QEMU system emulator: ${JSON.stringify(output.slice(0, 80))}`,
    );
  }
  return { major: Number(match[2]), minor: Number(match[3]), micro: Number(match[4]), text: match[1] ?? '' };
}

const known = new Map<string, Promise<QemuBinary>>();

/**
 * The QEMU to use: `wanted`, else `$QMPILOT_QEMU`, else `qemu-system-x86_64` on PATH. Its version is asked once per process.
 * @throws {TOOL_MISSING} when there is none, it does not run, or it is older than 7.2
 */
export function findQemu(wanted?: string): Promise<QemuBinary> {
  const name = wanted ?? (process.env['QMPILOT_QEMU'] || 'qemu-system-x86_64');
  let found = known.get(name);
  if (!found) {
    found = probe(name);
    known.set(name, found);
    found.catch(() => known.delete(name));
  }
  return found;
}

async function probe(name: string): Promise<QemuBinary> {
  const path = await which(name);
  if (!path) {
    throw new QmpilotError('TOOL_MISSING', `no QEMU found: ${name} is not an executable on PATH`, {
      hint: 'on Debian: apt-get install qemu-system-x86 qemu-utils; or name another one by $QMPILOT_QEMU',
    });
  }
  let output: string;
  try {
    output = (await run(path, ['--version'], { timeout: 20_000, killSignal: 'SIGKILL' })).stdout;
  } catch (cause) {
    throw new QmpilotError(
      'TOOL_MISSING',
      `cannot determine the version of QEMU: ${path} --version failed: ${whyFailed(cause)}`,
      { cause, hint: 'reinstall QEMU' },
    );
  }
  const version = parseQemuVersion(output);
  if (version.major < 7 || (version.major === 7 && version.minor < 2)) {
    throw new QmpilotError('TOOL_MISSING', `${path} is QEMU ${version.text}; ${OLDEST_QEMU} or newer is needed`, {
      hint: 'install a newer QEMU, or name one by $QMPILOT_QEMU',
    });
  }
  return { path, version };
}

/** Whether this QEMU is at least `major.minor`. */
export function atLeast(version: QemuVersion, major: number, minor = 0): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

/** Reads the cause from the error of `execFile`: the signal, or the program's last message, which follows the command. */
function whyFailed(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if ('signal' in cause && typeof cause.signal === 'string') return `it was killed by ${cause.signal}`;
  return cause.message.trim().split('\n').at(-1) ?? '';
}

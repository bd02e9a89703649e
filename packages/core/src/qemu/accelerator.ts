import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, stat } from 'node:fs/promises';
import { arch, cpus, hostname, release } from 'node:os';
import { join } from 'node:path';
import { QmpilotError } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/async/deadline.js';
import { replaceFile } from '../util/files/atomic-write.js';
import { cacheRoot } from '../util/files/paths.js';
import { monotonicMs, wallTime } from '../util/time/clock.js';
import type { QemuBinary } from './host/binary.js';
import { acquireHostDirectories, makeVmDirectory, releaseHostDirectories } from './host/directories.js';
import { QemuProcess } from './process/process.js';

/** The accelerator of the guest's CPUs: KVM (hardware) or TCG (software). */
export type Accelerator = 'kvm' | 'tcg';

/** Which accelerator is used, and why: shown to people, kept in run.json. */
export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  readonly reason: string;
  /** When the proof was made (ISO 8601); absent where none was needed. */
  readonly provenAt?: string;
}

/** Request for an accelerator, for the kernel that has to run under it. */
export interface AcceleratorRequest {
  readonly binary: QemuBinary;
  /** The guest's kernel: KVM counts only once this one has printed its banner under it. */
  readonly kernel?: string | undefined;
  /** `auto` proves KVM and falls back to TCG; the others are taken at their word. */
  readonly wanted?: Accelerator | 'auto' | undefined;
  /** Prove again although a result is remembered. */
  readonly fresh?: boolean;
}

const KVM_DEVICE = '/dev/kvm';
/** A kernel under working KVM prints its banner in well under a second; under nested PVM it never does. */
const PROOF_TIMEOUT_MS = 8000;
const BANNER = 'Linux version ';

/**
 * Chooses by proof: a /dev/kvm that opens, answers and even runs a BIOS may still never run a Linux kernel
 * (nested virtualisation), so the guest's own kernel is started under it once, and the result is remembered for
 * this host, QEMU and kernel.
 * @throws {ABORTED}
 */
export async function chooseAccelerator(
  request: AcceleratorRequest,
  options: WaitOptions = {},
): Promise<AcceleratorChoice> {
  const wanted = request.wanted ?? 'auto';
  if (wanted !== 'auto') return { accelerator: wanted, reason: 'requested' };
  const unusable = await whyKvmCannotOpen();
  if (unusable) return { accelerator: 'tcg', reason: unusable };
  if (!request.kernel) return { accelerator: 'tcg', reason: 'KVM cannot be verified without a kernel file to boot' };
  const key = await proofKey(request.binary, request.kernel);
  const remembered = request.fresh ? undefined : (await readProofs())[key];
  if (remembered) return remembered;
  const choice = await prove(request.binary, request.kernel, options);
  await rememberProof(key, choice);
  return choice;
}

/** Returns why KVM cannot be used; undefined when only a guest can tell. */
export async function whyKvmCannotOpen(): Promise<string | undefined> {
  try {
    await access(KVM_DEVICE, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'ENOENT' ? `${KVM_DEVICE} is not there` : `${KVM_DEVICE} may not be opened by this user`;
  }
}

async function prove(binary: QemuBinary, kernel: string, options: WaitOptions): Promise<AcceleratorChoice> {
  const begun = monotonicMs();
  const directories = await acquireHostDirectories();
  try {
    const qemu = await QemuProcess.spawn({
      path: binary.path,
      args: [
        '-nodefaults',
        '-no-user-config',
        '-display',
        'none',
        '-no-reboot',
        '-machine',
        'q35',
        '-accel',
        'kvm',
        '-cpu',
        'host',
        '-m',
        '256M',
        '-chardev',
        'socket,id=ttyS0,fd=3',
        '-serial',
        'chardev:ttyS0',
        '-kernel',
        kernel,
        '-append',
        'console=ttyS0 earlyprintk=serial panic=-1',
      ],
      channels: 1,
      directory: await makeVmDirectory(directories),
    });
    try {
      const outcome = await awaitWithin<string>(
        { awaited: 'the banner of the kernel under KVM' },
        { signal: options.signal },
        (resolve) => {
          let seen = '';
          qemu.channels[0]?.on('data', (chunk: Buffer) => {
            seen = (seen + chunk.toString('latin1')).slice(-4096);
            if (seen.includes(BANNER)) resolve('banner');
          });
          void qemu.exited.then((exit) =>
            resolve(
              `QEMU ended (${exit.signal ?? `status ${exit.code}`}) under KVM${qemu.stderr().at(-1) ? `: ${qemu.stderr().at(-1)}` : ''}`,
            ),
          );
          const timer = setTimeout(
            () => resolve(`the guest's kernel printed nothing under KVM within ${PROOF_TIMEOUT_MS / 1000} s`),
            PROOF_TIMEOUT_MS,
          );
          return () => clearTimeout(timer);
        },
      );
      const provenAt = wallTime();
      if (outcome !== 'banner') return { accelerator: 'tcg', reason: outcome, provenAt };
      const ms = Math.round(monotonicMs() - begun);
      return {
        accelerator: 'kvm',
        reason: `this guest's kernel printed its banner under KVM after ${ms} ms`,
        provenAt,
      };
    } finally {
      await qemu.kill();
    }
  } finally {
    await releaseHostDirectories();
  }
}

async function proofKey(binary: QemuBinary, kernel: string): Promise<string> {
  const { size, mtimeMs } = await stat(kernel).catch((cause: unknown) => {
    throw new QmpilotError('USAGE', `the guest's kernel ${kernel} cannot be read`, { cause, hint: 'check the path' });
  });
  const host = [hostname(), arch(), release(), cpus()[0]?.model ?? ''];
  const parts = [...host, binary.path, binary.version.text, kernel, String(size), String(mtimeMs)];
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}

function proofFile(): string {
  return join(cacheRoot(), 'accelerator.json');
}

async function readProofs(): Promise<Readonly<Record<string, AcceleratorChoice>>> {
  try {
    const value: unknown = JSON.parse(await readFile(proofFile(), 'utf8'));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, AcceleratorChoice] => isChoice(entry[1])),
    );
  } catch {
    // Missing or damaged: the check is run again.
    return {};
  }
}

function isChoice(value: unknown): value is AcceleratorChoice {
  if (typeof value !== 'object' || value === null || !('accelerator' in value) || !('reason' in value)) return false;
  return (value.accelerator === 'kvm' || value.accelerator === 'tcg') && typeof value.reason === 'string';
}

async function rememberProof(key: string, choice: AcceleratorChoice): Promise<void> {
  const path = proofFile();
  const proofs = { ...(await readProofs()), [key]: choice };
  try {
    await mkdir(cacheRoot(), { recursive: true, mode: 0o700 });
    await replaceFile(path, `${JSON.stringify(proofs, null, 2)}\n`);
  } catch {
    // A cache that cannot be written costs a new proof next time, nothing else.
  }
}

/** Returns the recorded results of this host's accelerators, for `qmpilot doctor`. */
export async function rememberedProofs(): Promise<readonly AcceleratorChoice[]> {
  return Object.values(await readProofs());
}

/** The machine type of every VM that has no start script. */
export const MACHINE = 'q35';

/**
 * All that TCG can emulate, but for the bits that let the kernel and the C library copy and clear memory by `rep movsb` and `rep stosb`:
 * TCG runs these byte by byte, at half the speed of other loops.
 */
const EMULATED_CPU = 'max,-erms,-fsrm';

/** The CPU model that goes with an accelerator. */
export function defaultCpu(accelerator: Accelerator): string {
  return accelerator === 'kvm' ? 'host' : EMULATED_CPU;
}

import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { hasCopyPort, type PreparedGuest } from '../../guests/guest.js';
import { scriptCall, type Corrections, type ScriptSpec } from '../../guests/nixos/interface.js';
import { chooseAccelerator, type AcceleratorChoice } from '../../qemu/accelerator.js';
import { inspectMachine, readBackFrom, specOf } from '../../qemu/command-line/inspect.js';
import { optionValue, type Argument } from '../../qemu/command-line/options.js';
import { hasSerialPort } from '../../qemu/command-line/read-back.js';
import {
  acquireHostDirectories,
  makeVmDirectory,
  releaseHostDirectories,
  type HostDirectories,
} from '../../qemu/host/directories.js';
import { endScript, startScript, type ScriptedQemu } from '../../qemu/process/script-machine.js';
import { createOverlay } from '../../snapshot/strategies/overlay.js';
import { which } from '../../util/files/which.js';
import { createFamily } from '../create-family.js';
import type { Vm } from '../vm.js';
import type { BootOptions } from './boot-options.js';

const run = promisify(execFile);

/** The second start has what the first one showed; more would be a script that changes its mind. */
const MAX_STARTS = 4;

/**
 * Starts a guest by its own script, paused. What the script gives QEMU is read back from the process, and where it does not do (KVM
 * that does not run this kernel, a serial line of the script's own in the first place) the script is run again with a
 * correction: its guest has not run until then.
 * @throws what `startScript` throws
 */
export async function startScriptedVm(guest: PreparedGuest, script: ScriptSpec, options: BootOptions): Promise<Vm> {
  const directories = await acquireHostDirectories();
  const directory = await makeVmDirectory(directories);
  // What a script makes is there for all vms of the family: disks, folders that it shares.
  const home = await mkdtemp(join(directories.disk, 'script-'));
  try {
    const { qemu, accelerator } = await startCorrected(guest, script, options, { directories, directory, home });
    try {
      return await vmOf(guest, options, { qemu, accelerator, directories, directory, home });
    } catch (error) {
      await endScript(qemu);
      throw error;
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    await rm(home, { recursive: true, force: true });
    await releaseHostDirectories();
    throw error;
  }
}

interface Places {
  readonly directories: HostDirectories;
  readonly directory: string;
  readonly home: string;
}

interface Started {
  readonly qemu: ScriptedQemu;
  readonly accelerator: AcceleratorChoice;
}

async function startCorrected(
  guest: PreparedGuest,
  script: ScriptSpec,
  options: BootOptions,
  places: Places,
): Promise<Started> {
  let corrections: Corrections = { ownSerial: false, ownAgent: false };
  let endOfKvm: string | undefined;
  for (let start = 0; ; start += 1) {
    let qemu: ScriptedQemu;
    try {
      qemu = await startOnce(guest, script, options, places, corrections, start);
    } catch (error) {
      const better = afterFailure(error, corrections, options);
      if (!better || start + 1 >= MAX_STARTS) throw error;
      await removeScratch(places.home, start);
      if (better.accelerator === 'tcg' && corrections.accelerator !== 'tcg') {
        endOfKvm = `QEMU ended under KVM: ${whatKvmSaid(error) ?? ''}`;
        options.onProgress?.(`${endOfKvm}: trying TCG`);
      }
      corrections = better;
      continue;
    }
    let keep = false;
    try {
      const { better, accelerator } = await review(qemu, corrections, options, places.home, endOfKvm);
      keep = better === undefined;
      if (!better) return { qemu, accelerator };
      if (start + 1 >= MAX_STARTS) {
        throw new QmpilotError('QEMU_START', `${script.path} starts a different machine each time`, {
          evidence: { corrections: [corrections, better] },
        });
      }
      corrections = better;
    } finally {
      if (!keep) await endScript(qemu);
      if (!keep) await removeScratch(places.home, start);
    }
  }
}

async function startOnce(
  guest: PreparedGuest,
  script: ScriptSpec,
  options: BootOptions,
  { directory, home }: Places,
  corrections: Corrections,
  start: number,
): Promise<ScriptedQemu> {
  const scratch = scratchFolder(home, start);
  const own = join(directory, `m0-${start}`);
  for (const folder of [scratch, own]) await mkdir(folder, { mode: 0o700 });
  const base = script.diskImage ?? corrections.rootDisk;
  const diskImage = base && (await overlayOf(base, join(scratch, 'root.qcow2')));
  const console = corrections.ownSerial ? `hvc${guest.virtioConsoles.length}` : undefined;
  const corrected = { ...script, cpus: options.cpus ?? script.cpus, memoryMiB: options.memoryMiB ?? script.memoryMiB };
  const efiVariables = script.efiVariables && join(scratch, 'efi-vars.fd');
  if (script.efiVariables && efiVariables) await copyWritable(script.efiVariables, efiVariables);
  const call = scriptCall(
    dropUndefined(corrected),
    { home, scratch },
    { console, diskImage, efiVariables },
    corrections,
    process.env,
  );
  return startScript({
    path: script.path,
    arguments: [...call.arguments, ...(options.qemuArguments ?? [])],
    env: call.env,
    cwd: home,
    directory: own,
    virtioConsoles: guest.virtioConsoles,
    guestAgent: guest.guestAgent === true && !corrections.ownAgent,
    copyPort: hasCopyPort(guest),
    console: corrections.ownSerial ? 'virtio' : 'serial',
    signal: options.signal,
    onLine: (line) => options.onProgress?.(`start script: ${line}`),
  });
}

function scratchFolder(home: string, start: number): string {
  return join(home, `run${start}`);
}

/** The script's next start writes its files again: an image of the store may be gigabytes. */
async function removeScratch(home: string, start: number): Promise<void> {
  await rm(scratchFolder(home, start), { recursive: true, force: true });
}

function dropUndefined({
  cpus,
  memoryMiB,
  ...rest
}: Omit<ScriptSpec, 'cpus' | 'memoryMiB'> & { cpus: number | undefined; memoryMiB: number | undefined }): ScriptSpec {
  return { ...rest, ...(cpus !== undefined && { cpus }), ...(memoryMiB !== undefined && { memoryMiB }) };
}

async function copyWritable(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, 0o600);
}

async function overlayOf(base: string, path: string): Promise<string> {
  const tool = await which('qemu-img');
  if (!tool)
    throw new QmpilotError('TOOL_MISSING', 'qemu-img is not on PATH', {
      hint: 'on Debian: apt-get install qemu-utils',
    });
  const info: unknown = JSON.parse((await run(tool, ['info', '--force-share', '--output=json', base])).stdout);
  const format = typeof info === 'object' && info !== null && 'format' in info ? String(info.format) : 'raw';
  await createOverlay({ file: base, format }, path);
  return path;
}

/** Returns the corrections for another start after QEMU has ended; undefined when none is known to help. */
function afterFailure(error: unknown, corrections: Corrections, { accelerator }: BootOptions): Corrections | undefined {
  if (!corrections.ownAgent && hasAgentPort(error)) return { ...corrections, ownAgent: true };
  if (accelerator === 'kvm' || whatKvmSaid(error) === undefined) return undefined;
  if (corrections.accelerator !== 'tcg') return { ...corrections, accelerator: 'tcg' };
  return corrections.cpu === undefined ? { ...corrections, cpu: 'max' } : undefined;
}

/** There are KVMs under which QEMU does not even start, and a `-cpu host` that no other accelerator has. */
function whatKvmSaid(error: unknown): string | undefined {
  if (!isQmpilotError(error, 'QEMU_START')) return undefined;
  return error.evidence.stderr?.findLast((line) => /kvm|failed to [gs]et MSR/i.test(line));
}

/** QEMU refuses a second port of one name. */
function hasAgentPort(error: unknown): boolean {
  return (
    error instanceof QmpilotError &&
    error.code === 'QEMU_START' &&
    /port already exists by name org\.qemu\.guest_agent\.0/.test(error.message)
  );
}

/** Returns the corrections for another start; undefined when this one is good. */
async function review(
  qemu: ScriptedQemu,
  corrections: Corrections,
  options: BootOptions,
  home: string,
  endOfKvm: string | undefined,
): Promise<{ readonly better: Corrections | undefined; readonly accelerator: AcceleratorChoice }> {
  const { theirs, qmp } = qemu;
  const { accelerator: running, disks } = await inspectMachine(qmp, { signal: options.signal });
  const kernel = theirs.findLast(({ name }) => name === 'kernel')?.value;
  const accelerator: AcceleratorChoice =
    endOfKvm === undefined
      ? await chooseAccelerator(
          { binary: qemu.binary, kernel, wanted: options.accelerator },
          { signal: options.signal },
        )
      : { accelerator: 'tcg', reason: endOfKvm };
  const better: Corrections = {
    ...corrections,
    ownSerial: hasSerialPort(theirs),
    ...accelerated(theirs, running, accelerator.accelerator),
    ...foreignRoot(theirs, disks, home, corrections),
  };
  const changed = JSON.stringify(better) !== JSON.stringify({ ...corrections });
  return { better: changed ? better : undefined, accelerator };
}

function accelerated(theirs: readonly Argument[], running: 'kvm' | 'tcg', wanted: 'kvm' | 'tcg'): Partial<Corrections> {
  if (running === wanted) return {};
  if (theirs.some(({ name }) => name === 'accel' || name === 'enable-kvm')) {
    throw new QmpilotError(
      'USAGE',
      `the start script asks for ${running} by -accel or -enable-kvm, and this host runs the guest under ${wanted} only`,
      {
        hint: `leave that option out of virtualisation.qemu.options, or say accelerator: '${running}'`,
      },
    );
  }
  const cpu = theirs.findLast(({ name }) => name === 'cpu')?.value;
  return { accelerator: wanted, ...(wanted === 'tcg' && cpu?.startsWith('host') && { cpu: 'max' }) };
}

/** NixOS marks its root disk by a serial number. An image at a place of its own is somebody's: it gets an overlay. */
function foreignRoot(
  theirs: readonly Argument[],
  disks: readonly { readonly id: string; readonly file: string; readonly readOnly?: boolean }[],
  home: string,
  corrections: Corrections,
): Partial<Corrections> {
  const device = theirs.find(({ name, value }) => name === 'device' && optionValue(value, 'serial') === 'root');
  const disk = disks.find(({ id }) => id === optionValue(device?.value, 'drive'));
  if (!disk || disk.readOnly || disk.file.startsWith(`${home}/`) || corrections.rootDisk !== undefined) return {};
  return { rootDisk: disk.file };
}

async function vmOf(guest: PreparedGuest, options: BootOptions, started: Started & Places): Promise<Vm> {
  const { qemu, directories, directory, home, accelerator } = started;
  const inspection = await inspectMachine(qemu.qmp, { signal: options.signal });
  const { readBack, disks } = readBackFrom(qemu, inspection, (file) => file.startsWith(`${home}/`));
  const consoles = {
    virtioConsoles: guest.virtioConsoles,
    guestAgent: qemu.agent !== undefined,
    copyPort: qemu.copy !== undefined,
  };
  options.onProgress?.(`QEMU ${qemu.binary.version.text}, ${accelerator.accelerator}: ${accelerator.reason}`);
  const family = createFamily({
    guest,
    context: { binary: qemu.binary, directories },
    accelerator,
  });
  family.snapshots.removeWithFamily(home);
  return family.makeVm({ ...qemu, spec: specOf(inspection, disks, readBack, consoles) }, directory);
}

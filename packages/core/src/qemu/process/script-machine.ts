import { readFile, readlink } from 'node:fs/promises';
import { basename, isAbsolute } from 'node:path';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import { QmpClient } from '../../qmp/client.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import type { Ports, ReadBack } from '../command-line/machine-spec.js';
import { parseArguments, type Argument } from '../command-line/options.js';
import { drivingArguments } from '../command-line/read-back.js';
import { findQemu, type QemuBinary } from '../host/binary.js';
import { channelFds, countChannels, nameChannels } from './channels.js';
import type { Machine } from './machine.js';
import { QemuProcess } from './process.js';

/** A start script as it is called: what it needs from us beside its arguments is in its environment. */
export interface ScriptStart extends WaitOptions, Ports {
  readonly path: string;
  /** Options of the script, before ours. */
  readonly arguments: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Working directory of the script. */
  readonly cwd: string;
  /** Private folder of the VM on the host. */
  readonly directory: string;
  readonly console: ReadBack['console'];
  /** Output of the script and of QEMU. */
  readonly onLine?: ((line: string) => void) | undefined;
}

/** A QEMU that a script started, paused before its guest's first instruction, and what it was started with. */
export interface ScriptedQemu extends Omit<Machine, 'spec'> {
  readonly binary: QemuBinary;
  /** The script's own options, as they arrived in QEMU, without ours. */
  readonly theirs: readonly Argument[];
  readonly cwd: string;
  /** Our arguments beside those that drive the machine. */
  readonly overrides: readonly string[];
  readonly console: ReadBack['console'];
}

/** A script may build an image of gigabytes before it starts QEMU. */
const START_TIMEOUT = '10m';
const POLL_INTERVAL_MS = 500;

/**
 * Runs a start script with the interface of NixOS's `run-*-vm`: it ends in `exec qemu ... "$@"`, and so hands QEMU our arguments
 * and the descriptors that are open.
 * @throws {QEMU_START} when the script or its QEMU ends before QEMU can be talked to: the last words are in the error
 * @throws {USAGE} when it does not exec QEMU, or keeps our arguments from it
 * @throws {TIMEOUT} after 10 min by default
 * @throws {TOOL_MISSING} for a QEMU that is too old
 * @throws {ABORTED}
 */
export async function startScript(start: ScriptStart): Promise<ScriptedQemu> {
  const ours = [...start.arguments, ...drivingArguments(start, { fds: channelFds(start) })];
  const process = await QemuProcess.spawn({
    path: start.path,
    args: ours,
    channels: countChannels(start),
    directory: start.directory,
    env: start.env,
    cwd: start.cwd,
    onLine: start.onLine ?? (() => {}),
  });
  const channels = nameChannels(process.channels, start);
  let qmp: QmpClient | undefined;
  try {
    if (!channels) throw new QmpilotError('QEMU_START', 'the start script was run without its channels');
    qmp = await greet(process, channels.qmp, start, ours);
    const { words, binary, cwd } = await readProcess(process.pid, start.path);
    assertForwardsArguments(start.path, words, ours);
    process.becameQemu(words);
    const theirs = parseArguments(words.slice(1, -ours.length));
    return {
      ...channels,
      directory: start.directory,
      process,
      qmp,
      binary,
      theirs,
      cwd,
      overrides: start.arguments,
      console: start.console,
    };
  } catch (error) {
    // A QEMU that is not the process we started is reached by QMP alone.
    await qmp?.executeUntyped('quit', undefined, { patience: 2000 }).catch(() => {});
    process.interruptGroup();
    await process.kill();
    throw error;
  }
}

/** A daemon of the script may hold the socket pair open: QEMU's end is told by the process, not by the stream. */
async function greet(
  process: QemuProcess,
  stream: NonNullable<QemuProcess['channels'][number]>,
  start: ScriptStart,
  ours: readonly string[],
): Promise<QmpClient> {
  const ended = new AbortController();
  const signal = start.signal ? AbortSignal.any([start.signal, ended.signal]) : ended.signal;
  void process.exited.then(() => ended.abort());
  // A QEMU without our arguments has no QMP on our socket.
  const look = setInterval(
    () => void explainMissingArguments(process.pid, start.path, ours).then((error) => error && ended.abort(error)),
    POLL_INTERVAL_MS,
  );
  try {
    return await QmpClient.fromStream(stream, { signal, timeout: start.timeout ?? START_TIMEOUT });
  } catch (error) {
    if (start.signal?.aborted) throw error;
    if (isQmpilotError(ended.signal.reason)) throw ended.signal.reason;
    if (isQmpilotError(error, 'QMP_LINK')) await process.waitForExit({ patience: 2000 }).catch(() => {});
    if (!process.exit) throw error;
    throw startFailure(start, process, error);
  } finally {
    clearInterval(look);
  }
}

/** @throws {USAGE} when QEMU's command line does not end in our arguments */
function assertForwardsArguments(script: string, words: readonly string[], ours: readonly string[]): void {
  const own = words.slice(-ours.length);
  if (own.length === ours.length && own.every((word, index) => word === ours[index])) return;
  throw new QmpilotError('USAGE', `${script} does not pass its arguments to QEMU unchanged`, {
    hint: 'it must end as NixOS\'s scripts do: exec QEMU $QEMU_OPTS "$@"',
    evidence: { commandLine: words },
  });
}

/** The error for a script that has started a QEMU without our arguments; undefined as long as it has not started one. */
async function explainMissingArguments(
  pid: number,
  script: string,
  ours: readonly string[],
): Promise<QmpilotError | undefined> {
  const program = await readlink(`/proc/${pid}/exe`).catch(() => '');
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1);
  if (!/qemu-(?:system|kvm)/.test(basename(program)) || words.length === 0) {
    for (const child of await childrenOf(pid)) {
      const error = await explainMissingArguments(child, script, ours);
      if (error) return error;
    }
    return undefined;
  }
  try {
    assertForwardsArguments(script, words, ours);
    return undefined;
  } catch (error) {
    return isQmpilotError(error) ? error : undefined;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

function startFailure({ path, cwd }: ScriptStart, process: QemuProcess, cause: unknown): QmpilotError {
  const { exit } = process;
  const stderr = process.stderr();
  const lock = stderr.find((line) => /Failed to get (?:shared )?"[a-z ]+" lock/.test(line));
  const said = lock ?? stderr.at(-1);
  const how = exit?.signal ? `was killed by ${exit.signal}` : `exited with status ${exit?.code}`;
  return new QmpilotError(
    'QEMU_START',
    `the start script ${path} ${how} before its QEMU answered${said ? `; it said: ${said}` : ''}`,
    {
      cause,
      evidence: { stderr },
      hint: lock
        ? 'another QEMU uses a disk image of this one: end it, or give this guest another image (NIX_DISK_IMAGE, option diskImage)'
        : /\s/.test(cwd)
          ? `there is a space in ${cwd}, below TMPDIR, which parts of NixOS's start scripts leave unquoted: set TMPDIR to another folder`
          : said
            ? "see the script's last words above"
            : 'it printed nothing on standard error: run it by hand to see what it does',
    },
  );
}

interface QemuOfScript {
  readonly words: readonly string[];
  readonly binary: QemuBinary;
  readonly cwd: string;
}

async function readProcess(pid: number, script: string): Promise<QemuOfScript> {
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
  const [name = ''] = words;
  const exe = await readlink(`/proc/${pid}/exe`);
  if (!/qemu/.test(basename(exe)) && !/qemu-system/.test(basename(name))) {
    throw new QmpilotError('USAGE', `${script} runs QEMU as a child of its own: process ${pid} is ${exe}`, {
      hint: 'it must end in `exec QEMU ...`, as those of NixOS do, so that QEMU can be watched and ended',
    });
  }
  // A wrapper of Nix sets what QEMU needs and shows its own name: forks start by it as well.
  const binary = await findQemu(isAbsolute(name) ? name : exe);
  return { words, binary, cwd: await readlink(`/proc/${pid}/cwd`) };
}

/** Ends what `startScript` started; waits until it is gone. */
export async function endScript(qemu: ScriptedQemu): Promise<void> {
  await qemu.process.kill();
  await awaitWithin<void>(
    { awaited: 'QMP to end', defaultTimeout: 2000 },
    {},
    (resolve) => void qemu.qmp.close().then(() => resolve()),
  ).catch(() => {});
}

import { mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { QmpilotError } from '@qmpilot/core';
import { requireProgram } from '@qmpilot/core/internal';
import type { Vmlinux } from '@qmpilot/core/vm';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';

const FINDS = `
vmlinux is looked for by the build id of the kernel: in installed -dbg packages (/usr/lib/debug), in the tree that the kernel was built in, and by debuginfod where $DEBUGINFOD_URLS is set. --vmlinux names the file, or a built tree.`;

const GDB_HELP = `
Opens the gdb server of QEMU, and starts gdb with the symbols of the kernel, moved to where KASLR has put it. The VM stops while gdb stops it, and continues when gdb exits.
${FINDS}

  qmpilot gdb web
  qmpilot gdb web --vmlinux ~/linux -- -batch -ex bt`;

const DUMP_HELP = (tool: string, example: string) => `
A VM is dumped to a temporary file first, as large as its memory; a name with a slash is the path of a dump written by qmpilot dump. The guest must have passed its VMCOREINFO to QEMU: the module qemu_fw_cfg does that if it was loaded before the dump.
${FINDS}

  qmpilot ${tool} web
  qmpilot ${tool} ./web.elf -- ${example}`;

const PACKAGES = { gdb: 'gdb', crash: 'crash', drgn: 'python3-drgn' } as const;
const requireTool = (name: keyof typeof PACKAGES) =>
  requireProgram(name, `on Debian: apt-get install ${PACKAGES[name]}`);

interface DebuggerOptions {
  readonly vmlinux?: string;
}

export function registerGdb(program: Command): void {
  debuggerCommand(program, 'gdb', 'debug the kernel of a VM with gdb', '<vm>', 'name of the VM')
    .addHelpText('after', helpText(GDB_HELP))
    .action(async (name: string, args: string[], { vmlinux }: DebuggerOptions) => {
      const gdb = await requireTool('gdb');
      process.exitCode = await debugLive(name, vmlinux, (socket, found, text) => {
        const moved = (BigInt(`0x${text}`) - found.text).toString(16);
        const symbols = ['-ex', `symbol-file -o 0x${moved} '${found.path}'`, '-ex', `target remote ${socket}`];
        return run(gdb, ['-q', ...symbols, ...args]);
      });
    });
}

export function registerCrash(program: Command): void {
  registerDumpReader(program, 'crash', '-i commands.txt', (dump, vmlinux) => [vmlinux.path, dump]);
}

export function registerDrgn(program: Command): void {
  registerDumpReader(program, 'drgn', 'script.py', (dump, vmlinux) => ['-c', dump, '-s', vmlinux.path]);
}

function registerDumpReader(
  program: Command,
  tool: 'crash' | 'drgn',
  example: string,
  argumentsFor: (dump: string, vmlinux: Vmlinux) => readonly string[],
): void {
  debuggerCommand(
    program,
    tool,
    `open the memory of a VM, or a dump, with ${tool}`,
    '<vm|path>',
    'name of the VM, or path of a dump',
  )
    .addHelpText('after', helpText(DUMP_HELP(tool, example)))
    .action(async (target: string, args: string[], { vmlinux }: DebuggerOptions) => {
      const executable = await requireTool(tool);
      const open = async (dump: string) => {
        const { findVmlinux, readVmcoreinfo } = await import('@qmpilot/core/vm');
        const wanted = vmlinux === undefined ? readVmcoreinfo(dump) : await tryVmcoreinfo(dump);
        return run(executable, [...argumentsFor(dump, await findVmlinux(wanted, { path: vmlinux })), ...args]);
      };
      process.exitCode = target.includes('/') ? await open(target) : await withDump(target, tool === 'drgn', open);
    });
}

function debuggerCommand(
  program: Command,
  tool: string,
  description: string,
  target: string,
  explained: string,
): Command {
  return program
    .command(tool)
    .description(description)
    .argument(target, explained)
    .argument('[arguments...]', `arguments of ${tool}`)
    .option('--vmlinux <path>', 'file with the debug information of the kernel, or the tree it was built in');
}

/** Which kernel a dump is of; where it does not tell, the named vmlinux is believed. */
async function tryVmcoreinfo(dump: string) {
  const { readVmcoreinfo } = await import('@qmpilot/core/vm');
  try {
    return readVmcoreinfo(dump);
  } catch (error) {
    if (error instanceof QmpilotError && error.code === 'USAGE') return { release: 'the dump' };
    throw error;
  }
}

async function withDump(name: string, paging: boolean, open: (dump: string) => Promise<number>): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'qmpilot-dump-'));
  try {
    const dump = join(directory, 'memory.elf');
    process.stderr.write(`qmpilot: writing the memory of ${name} to ${dump}\n`);
    // Drgn before 0.0.31 reads no ELF dump without the page tables.
    await interruptible('cancelling', (signal) =>
      call(name, 'dump', { path: dump, format: 'elf', paging }, { signal }),
    );
    return await open(dump);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs `task` while the VM has a gdb server. */
async function debugLive(
  name: string,
  path: string | undefined,
  task: (socket: string, vmlinux: Vmlinux, text: string) => Promise<number>,
): Promise<number> {
  const done = new AbortController();
  let exitCode: number | undefined;
  try {
    await call(
      name,
      'gdb',
      {},
      {
        signal: done.signal,
        onEvent: async ({ socket, kernel }) => {
          const { findVmlinux } = await import('@qmpilot/core/vm');
          exitCode = await task(socket, await findVmlinux(kernel, { path }), kernel.text);
          done.abort();
        },
      },
    );
  } catch (error) {
    if (exitCode === undefined) throw error;
  }
  return exitCode ?? 1;
}

/** Runs a program on this terminal, and returns its exit code; the signals of the terminal are its own. */
async function run(program: string, args: readonly string[]): Promise<number> {
  const { spawn } = await import('node:child_process');
  const child = spawn(program, args, { stdio: 'inherit' });
  const ignore = () => {};
  const end = () => void child.kill('SIGTERM');
  process.on('SIGINT', ignore).on('SIGTERM', end).on('SIGHUP', end);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', end).off('SIGHUP', end);
  }
}

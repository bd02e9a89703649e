import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { duration } from '../../arguments.js';
import { call } from '../../daemon/client.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';

const HELP = `
The file appears when it is complete. The VM is paused until then. "elf" is as large as the memory of the VM, and what \`qmpilot explain --dump\` reads; the others are compressed.

  qmpilot dump web web.elf
  qmpilot explain --dump web.elf`;

interface DumpCommandOptions {
  readonly format: 'elf' | 'kdump-zlib' | 'kdump-lzo' | 'kdump-snappy';
  readonly paging?: boolean;
  readonly timeout?: number;
}

export function registerDump(program: Command): void {
  program
    .command('dump')
    .description('write the memory of a VM to a file')
    .argument('<vm>', 'name of the VM')
    .argument('<file>', 'new file on this host')
    .addOption(
      new Option('--format <format>', 'format of the file')
        .choices(['elf', 'kdump-zlib', 'kdump-lzo', 'kdump-snappy'])
        .default('elf'),
    )
    .option('--paging', 'also write where the memory is mapped, for gdb and drgn before 0.0.31')
    .option('--timeout <time>', 'time limit (default: 10m)', duration)
    .addHelpText('after', helpText(HELP))
    .action(async (name: string, file: string, { format, paging, timeout }: DumpCommandOptions) => {
      const request = { path: resolve(file), format, paging, timeout };
      await interruptible('cancelling', (signal) => call(name, 'dump', request, { signal }));
    });
}

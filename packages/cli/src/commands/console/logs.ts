import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { requireVm, type VmRecord } from '../../daemon/state.js';
import { interruptible } from '../../interrupt.js';
import { GuestLog } from '../../render/guest-log.js';

interface LogsOptions {
  readonly follow?: boolean;
  readonly raw?: boolean;
  readonly daemon?: boolean;
}

export function registerLogs(program: Command): void {
  program
    .command('logs')
    .description('print the output of the serial console of a VM, also of one that has ended')
    .argument('<vm>', 'name of the VM')
    .option('-f, --follow', 'keep printing until Ctrl-C or the end of the VM')
    .option('--raw', 'print the bytes unchanged; not to a terminal')
    .option('--daemon', 'print the log of its daemon instead')
    .action(async (name: string, options: LogsOptions) => {
      if (options.raw === true && process.stdout.isTTY)
        throw new QmpilotError('USAGE', 'logs --raw: cannot write raw guest output to a terminal', {
          hint: 'redirect it to a file, or leave out --raw',
        });
      const vm = await requireVm(name);
      const log = new GuestLog();
      let isEmpty = true;
      const write = (bytes: Buffer) => {
        isEmpty = false;
        return new Promise<void>(
          (resolve) => void process.stdout.write(options.raw === true ? bytes : log.push(bytes), () => resolve()),
        );
      };
      await print(join(vm.directory, options.daemon === true ? 'daemon.log' : 'console.log'), write);
      if (isEmpty && options.daemon !== true) process.stderr.write(`qmpilot: ${whyEmpty(vm.record)}\n`);
      if (options.follow === true && vm.life === 'running') await follow(name, write);
      if (options.raw !== true) process.stdout.write(log.end());
    });
}

function whyEmpty({ name, loaded }: VmRecord): string {
  const empty = `${name} has printed nothing on its serial console`;
  if (loaded === undefined) return empty;
  return `${empty} since it was loaded from ${loaded}; its kernel log: qmpilot exec ${name} dmesg`;
}

async function print(file: string, write: (bytes: Buffer) => Promise<void>): Promise<void> {
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) await write(chunk);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}

async function follow(name: string, write: (bytes: Buffer) => Promise<void>): Promise<void> {
  let drawn = false;
  try {
    await interruptible('no longer following the log', (signal) =>
      call(
        name,
        'console',
        {},
        {
          signal,
          onEvent: async ({ bytes }) => {
            // The first event redraws the screen, which has been printed from the log already.
            if (drawn) await write(Buffer.from(bytes, 'base64'));
            drawn = true;
          },
        },
      ),
    );
  } catch (error) {
    if (!isQmpilotError(error, 'CLOSED')) throw error;
  }
}

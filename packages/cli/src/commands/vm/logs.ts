import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { isQmpilotError, QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
import { mustFind } from '../../keeper/state.js';
import { GuestLog } from '../../render/guest-log.js';

interface LogsOptions {
  readonly follow?: boolean;
  readonly raw?: boolean;
  readonly keeper?: boolean;
}

export function registerLogs(program: Command): void {
  program
    .command('logs')
    .description("print what a vm's serial console has shown, also of a vm that has ended")
    .argument('<vm>', 'its name')
    .option('-f, --follow', 'and what comes, until Ctrl-C or the end of the vm')
    .option('--raw', 'the bytes as they came; not to a terminal')
    .option('--keeper', 'the log of its keeper instead')
    .action(async (name: string, options: LogsOptions) => {
      if (options.raw === true && process.stdout.isTTY)
        throw new QmpilotError('USAGE', 'logs --raw: the bytes of a guest do not go to a terminal', {
          hint: 'redirect it to a file',
        });
      const vm = await mustFind(name);
      const log = new GuestLog();
      const write = (bytes: Buffer) =>
        new Promise<void>(
          (resolve) => void process.stdout.write(options.raw === true ? bytes : log.push(bytes), () => resolve()),
        );
      await print(join(vm.directory, options.keeper === true ? 'keeper.log' : 'console.log'), write);
      if (options.follow === true && vm.life === 'running') await follow(name, write);
      if (options.raw !== true) process.stdout.write(log.end());
    });
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
    await interruptible('following it no longer', (signal) =>
      call(
        name,
        'console',
        {},
        {
          signal,
          onEvent: async ({ bytes }) => {
            // The first one draws the screen: that has been printed already.
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

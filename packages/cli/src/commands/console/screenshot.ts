import { writeFile } from 'node:fs/promises';
import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';

export function registerScreenshot(program: Command): void {
  program
    .command('screenshot')
    .description('write a PNG of the graphics display of a VM that was booted with --display std')
    .argument('<vm>', 'name of the VM')
    .argument('[file]', 'PNG file to write (default: standard output)')
    .action(async (name: string, file: string | undefined) => {
      if (file === undefined && process.stdout.isTTY)
        throw new QmpilotError('USAGE', 'screenshot: cannot write a PNG to a terminal', {
          hint: 'name a file, or redirect the output',
        });
      const { png } = await interruptible('cancelling', (signal) => call(name, 'screenshot', {}, { signal }));
      const bytes = Buffer.from(png, 'base64');
      if (file === undefined) process.stdout.write(bytes);
      else await writeFile(file, bytes);
    });
}

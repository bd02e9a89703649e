import { writeFile } from 'node:fs/promises';
import { QmpilotError } from '@qmpilot/core';
import { Option, type Command } from 'commander';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
import { renderJson } from '../../render/json.js';
import { visible } from '../../render/visible.js';

interface ScreenOptions {
  readonly svg?: boolean;
  readonly html?: boolean;
  readonly json?: boolean;
}

export function registerScreen(program: Command): void {
  program
    .command('screen')
    .description("print a vm's serial console as a terminal shows it now")
    .argument('<vm>', 'its name')
    .addOption(new Option('--svg', 'as a picture').conflicts(['html', 'json']))
    .addOption(new Option('--html', 'as a <pre> with colours').conflicts(['svg', 'json']))
    .option('--json', 'one JSON line with rows and cursor')
    .action(async (name: string, options: ScreenOptions) => {
      const form = options.svg === true ? 'svg' : options.html === true ? 'html' : 'text';
      const { text, rows, columns, cursor } = await interruptible('waiting no longer', (signal) =>
        call(name, 'screen', { form }, { signal }),
      );
      if (options.json === true)
        process.stdout.write(
          `${renderJson({ v: 1, type: 'screen', vm: name, rows, columns, cursor, text: text.split('\n') }, false)}\n`,
        );
      else process.stdout.write(form === 'text' ? `${text.split('\n').map(visible).join('\n')}\n` : `${text}\n`);
    });

  program
    .command('screenshot')
    .description("write a picture of a vm's graphics card, as PNG; the vm was booted with --display std")
    .argument('<vm>', 'its name')
    .argument('[file]', 'where to (default: standard output)')
    .action(async (name: string, file: string | undefined) => {
      if (file === undefined && process.stdout.isTTY)
        throw new QmpilotError('USAGE', 'screenshot: a picture does not go to a terminal', {
          hint: 'name a file, or redirect it',
        });
      const { png } = await interruptible('waiting no longer', (signal) => call(name, 'screenshot', {}, { signal }));
      const bytes = Buffer.from(png, 'base64');
      if (file === undefined) process.stdout.write(bytes);
      else await writeFile(file, bytes);
    });
}

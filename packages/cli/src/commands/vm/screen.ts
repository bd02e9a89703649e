import { Option, type Command } from 'commander';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
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
      const { text, rows, columns, cursor } = await interruptible((signal) => call(name, 'screen', { form }, { signal }));
      if (options.json === true) process.stdout.write(`${JSON.stringify({ v: 1, type: 'screen', vm: name, rows, columns, cursor, text: text.split('\n') })}\n`);
      else process.stdout.write(form === 'text' ? `${text.split('\n').map(visible).join('\n')}\n` : `${text}\n`);
    });
}

import { Option, type Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

interface ScreenOptions {
  readonly svg?: boolean;
  readonly html?: boolean;
  readonly json?: boolean;
}

export function registerScreen(program: Command): void {
  program
    .command('screen')
    .description('print the screen of the serial console of a VM')
    .argument('<vm>', 'name of the VM')
    .addOption(new Option('--svg', 'print it as an SVG image').conflicts(['html', 'json']))
    .addOption(new Option('--html', 'print it as a <pre> element with colors').conflicts(['svg', 'json']))
    .option('--json', 'print one JSON line with rows and cursor')
    .action(async (name: string, options: ScreenOptions) => {
      const form = options.svg === true ? 'svg' : options.html === true ? 'html' : 'text';
      const { text, rows, columns, cursor } = await interruptible('cancelling', (signal) =>
        call(name, 'screen', { form }, { signal }),
      );
      if (options.json === true)
        process.stdout.write(jsonLine('screen', { vm: name, rows, columns, cursor, text: text.split('\n') }));
      else process.stdout.write(form === 'text' ? `${text.split('\n').map(visible).join('\n')}\n` : `${text}\n`);
    });
}

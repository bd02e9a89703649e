import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

const HELP = `
Samples the CPUs, the console, the monitor and a shell for about a second. The guest is not changed.`;

export function registerDiagnose(program: Command): void {
  program
    .command('diagnose')
    .description('find out why a VM does not answer: panicked, spinning, idle, stopped, ...')
    .argument('<vm>', 'name of the VM')
    .option('--json', 'print one JSON line, with the signs')
    .addHelpText('after', helpText(HELP))
    .action(async (name: string, { json = false }: { json?: boolean }) => {
      const diagnosis = await interruptible('cancelling', (signal) => call(name, 'diagnose', {}, { signal }));
      if (json) process.stdout.write(jsonLine('diagnosis', { vm: name, ...diagnosis }));
      else process.stdout.write(`${diagnosis.state}: ${visible(diagnosis.reason)}\n`);
    });
}

import type { PoweroffReport } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration } from '../../arguments.js';
import { call } from '../../daemon/client.js';
import { EXIT } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

/** Outcomes with which the guest is off, in time or late. */
const OFF: ReadonlySet<PoweroffReport['outcome']> = new Set(['clean', 'slow']);

const HELP = `
A VM that has snapshots can be restored after it is off; one without is ended.

Exit status: 0 the guest is off; 1 it stalled, panicked or rebooted, and the VM is still there.`;

export function registerPoweroff(program: Command): void {
  program
    .command('poweroff')
    .description('power a VM off, follow the shutdown, and show where it stalls')
    .argument('<vm>', 'name of the VM')
    .option('--timeout <time>', 'time limit (default: 3m)', duration)
    .option('--json', 'print the report as a JSON line')
    .addHelpText('after', helpText(HELP))
    .action(async (name: string, options: { timeout?: number; json?: boolean }) => {
      const { formatShutdown } = await import('@qmpilot/core/detect');
      const report = await interruptible('no longer following the shutdown', (signal) =>
        call(
          name,
          'poweroff',
          { timeout: options.timeout },
          { signal, onEvent: ({ phase }) => void process.stderr.write(`${phase}\n`) },
        ),
      );
      process.stdout.write(
        options.json === true
          ? jsonLine('poweroff', { vm: name, ...report })
          : `${formatShutdown(report).split('\n').map(visible).join('\n')}\n`,
      );
      process.exitCode = OFF.has(report.outcome) ? EXIT.fine : EXIT.found;
    });
}

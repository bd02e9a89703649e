import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { visible } from '../../render/text/visible.js';

const HELP = `
Keys: w blocked tasks, t all tasks, l backtraces of the CPUs, m memory, d held locks, p registers, q timers, z ftrace buffer.

  qmpilot sysrq web w`;

export function registerSysrq(program: Command): void {
  program
    .command('sysrq')
    .description('press a SysRq key, and print what the kernel reports')
    .argument('<vm>', 'name of the VM')
    .argument('<key>', 'one letter: w, t, l, m, d, p, q or z')
    .addHelpText('after', helpText(HELP))
    .action(async (name: string, key: string) => {
      const { lines } = await interruptible('cancelling', (signal) => call(name, 'sysrq', { key }, { signal }));
      for (const line of lines) process.stdout.write(`${visible(line)}\n`);
    });
}

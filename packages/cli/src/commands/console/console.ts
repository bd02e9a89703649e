import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { requireRunning } from '../../daemon/state.js';
import { helpText } from '../../help.js';
import { visible } from '../../render/text/visible.js';
import { requireTerminal, withTerminal } from '../../terminal-session.js';

/** Ctrl-], as in telnet and virsh. */
const DETACH = 0x1d;

const HELP = `
Ctrl-] detaches; the VM keeps running. Several terminals can be attached at once; the guest's terminal takes the size of the one that was
attached or resized last. Guest output cannot change the clipboard, the title or the input of your terminal.

Keystrokes are not recorded. Text that the guest echoes is in its log; password prompts do not echo.`;

export function registerConsole(program: Command): void {
  program
    .command('console')
    .description('attach to the serial console of a VM; Ctrl-] detaches')
    .argument('<vm>', 'name of the VM')
    .addHelpText('after', helpText(HELP))
    .action(async (name: string) => {
      requireTerminal(
        'console',
        `without a terminal: qmpilot logs ${name}, qmpilot type ${name} TEXT, qmpilot screen ${name}`,
      );
      await requireRunning(name);
      process.stderr.write(`attached to the console of ${name}; Ctrl-] detaches\r\n`);
      const reason = await attach(name);
      process.stderr.write(`\r\n${visible(reason)}\n`);
    });
}

function attach(name: string): Promise<string> {
  return withTerminal(DETACH, async ({ signal, size, ...handlers }) => {
    try {
      await call(name, 'console', size, { signal, ...handlers });
      return `the VM ${name} has ended`;
    } catch (error) {
      if (signal.aborted) return `detached from ${name}; the VM keeps running`;
      if (error instanceof QmpilotError && error.code === 'CLOSED') return `the VM ${name} has ended`;
      throw error;
    }
  });
}

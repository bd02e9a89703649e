import type { ConsoleOptions } from '../../console/console.js';
import type { Shell } from '../../shell/shell.js';

/** Has `console.resize` set the size of the guest's terminal by a shell; without one the console types the command. */
export function sizeByShell(shell: () => Shell | undefined, terminal = 'ttyS0'): ConsoleOptions {
  return {
    async setSize(columns, rows, type, options) {
      const consoleShell = shell();
      if (consoleShell)
        await consoleShell.expectOk(`stty -F /dev/${terminal} columns ${columns} rows ${rows}`, {
          patience: '30s',
          ...options,
        });
      else await type();
    },
  };
}

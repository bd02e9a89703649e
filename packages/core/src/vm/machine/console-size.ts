import type { ConsoleOptions } from '../../console/console.js';
import type { Shell } from '../../shell/shell.js';

/** Has `console.resize` tell the guest by its console shell; without one the console types it. */
export function sizeByShell(shell: () => Shell | undefined): ConsoleOptions {
  return {
    async setSize(columns, rows, type, options) {
      const consoleShell = shell();
      if (consoleShell)
        await consoleShell.expectOk(`stty -F /dev/ttyS0 columns ${columns} rows ${rows}`, {
          patience: '30s',
          ...options,
        });
      else await type();
    },
  };
}

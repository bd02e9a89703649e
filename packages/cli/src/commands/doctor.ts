import { checkHost, type HostCheck } from '@qmpilot/core';
import type { Command } from 'commander';
import { EXIT } from '../exit-codes.js';
import { renderJson } from '../render/json.js';
import { visible } from '../render/visible.js';

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('look at what this host has and lacks')
    .option('--json', 'one JSON line for each check')
    .addHelpText('after', '\nExit status: 0 everything needed is there, 1 something is missing.')
    .action(async (options: { json?: boolean }) => {
      const checks = await checkHost();
      for (const check of checks) {
        process.stdout.write(
          options.json === true ? `${renderJson({ v: 1, type: 'check', ...check }, false)}\n` : renderCheck(check),
        );
      }
      process.exitCode = checks.some(({ status }) => status === 'fail') ? EXIT.found : EXIT.fine;
    });
}

function renderCheck({ status, name, detail, remedy }: HostCheck): string {
  const line = `${status.padEnd(4)}  ${name.padEnd(22)}${visible(detail)}\n`;
  return remedy === undefined ? line : `${line}${' '.repeat(28)}-> ${remedy}\n`;
}

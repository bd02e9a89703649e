import type { HostCheck } from '@qmpilot/core/internal';
import type { Command } from 'commander';
import { EXIT } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { jsonLine } from '../../render/json.js';
import { paint } from '../../render/text/color.js';
import { visible } from '../../render/text/visible.js';

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check what this host provides and what is missing')
    .option('--json', 'print one JSON line for each check')
    .addHelpText('after', helpText('Exit status: 0 everything that is required is there, 1 something is missing.'))
    .action(async (options: { json?: boolean }) => {
      const { checkHost } = await import('@qmpilot/core/internal');
      const { wrapText } = await import('../../render/text/wrap.js');
      const checks = await checkHost();
      for (const check of checks) {
        process.stdout.write(options.json === true ? jsonLine('check', check) : renderCheck(check, wrapText));
      }
      process.exitCode = checks.some(({ status }) => status === 'fail') ? EXIT.found : EXIT.fine;
    });
}

const COLORS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
const INDENT = 28;

function renderCheck(
  { status, name, detail, remedy }: HostCheck,
  wrap: (text: string, width: number) => string,
): string {
  const width = Math.max(40, (process.stdout.columns ?? 80) - INDENT);
  const lines = [detail, ...(remedy === undefined ? [] : [`-> ${remedy}`])]
    .flatMap((text) => wrap(visible(text), width).split('\n'))
    .join(`\n${' '.repeat(INDENT)}`);
  return `${paint(COLORS[status], status.padEnd(4))}  ${name.padEnd(INDENT - 6)}${lines}\n`;
}

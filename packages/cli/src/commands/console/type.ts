import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';
import { readInput } from '../../read-input.js';

interface TypeOptions {
  readonly raw?: boolean;
  readonly enter?: boolean;
  readonly stdin?: boolean;
}

export function registerType(program: Command): void {
  program
    .command('type')
    .description('type text on the serial console of a VM')
    .argument('<vm>', 'name of the VM')
    .argument('[text]', 'with \\n for Enter, \\t for Tab, \\e for Escape, \\\\ for a backslash')
    .option('--raw', 'type backslashes as they are')
    .option('--enter', 'press Enter after the text')
    .option('--stdin', 'read the text from standard input, without its final newline: for passwords')
    .action(async (name: string, given: string | undefined, options: TypeOptions) => {
      const text = `${await textToType(given, options)}${options.enter === true ? '\n' : ''}`;
      await interruptible('cancelling', (signal) => call(name, 'type', { text }, { signal }));
    });
}

async function textToType(given: string | undefined, { stdin = false, raw = false }: TypeOptions): Promise<string> {
  if (given === undefined && !stdin)
    throw new QmpilotError('USAGE', 'type: no text given', { hint: 'give it as an argument, or pipe it to --stdin' });
  if (given === undefined) return (await readInput()).toString().replace(/\r?\n$/, '');
  if (stdin) throw new QmpilotError('USAGE', 'type: both a text and --stdin', { hint: 'leave one out' });
  return raw ? given : unescape(given);
}

const ESCAPES: Readonly<Record<string, string>> = { 'n': '\n', 'r': '\r', 't': '\t', 'e': '\x1b', '\\': '\\' };

export function unescape(text: string): string {
  return text.replace(/\\(.?)/g, (whole, letter: string) => {
    const meant = ESCAPES[letter];
    if (meant === undefined)
      throw new QmpilotError('USAGE', `unknown escape ${whole}`, { hint: 'use \\n, \\r, \\t, \\e or \\\\, or --raw' });
    return meant;
  });
}

import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';

export function registerType(program: Command): void {
  program
    .command('type')
    .description("type a text on a vm's serial console")
    .argument('<vm>', 'its name')
    .argument('<text>', 'with \\n for Enter, \\t for Tab, \\e for Escape, \\\\ for a backslash')
    .option('--raw', 'the text as it is: a backslash is a backslash')
    .option('--enter', 'press Enter behind it')
    .action(async (name: string, text: string, options: { raw?: boolean; enter?: boolean }) => {
      const typed = `${options.raw === true ? text : unescape(text)}${options.enter === true ? '\n' : ''}`;
      await interruptible((signal) => call(name, 'type', { text: typed }, { signal }));
    });

  program
    .command('press')
    .description("press keys on a vm's serial console, one after the other")
    .argument('<vm>', 'its name')
    .argument('<key...>', 'Enter, C-c, C-b, M-x, Up, F5, q, ...')
    .action(async (name: string, keys: string[]) => {
      await interruptible((signal) => call(name, 'press', { keys }, { signal }));
    });
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', e: '\x1b', '\\': '\\' };

export function unescape(text: string): string {
  return text.replace(/\\(.?)/g, (whole, letter: string) => {
    const meant = ESCAPES[letter];
    if (meant === undefined) throw new QmpilotError('USAGE', `${whole} in the text means nothing`, { hint: 'use \\n, \\r, \\t, \\e or \\\\, or say --raw' });
    return meant;
  });
}

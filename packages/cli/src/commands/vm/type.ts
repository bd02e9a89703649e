import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { interruptible } from '../../interrupt.js';
import { call } from '../../keeper/client.js';
import { readInput } from '../../read-input.js';

export function registerType(program: Command): void {
  program
    .command('type')
    .description("type a text on a vm's serial console")
    .argument('<vm>', 'its name')
    .argument('[text]', 'with \\n for Enter, \\t for Tab, \\e for Escape, \\\\ for a backslash')
    .option('--raw', 'the text as it is: a backslash is a backslash')
    .option('--enter', 'press Enter behind it')
    .option(
      '--stdin',
      'the text is standard input, as it is, less a line end at its end: for a password, which a process list would show',
    )
    .action(
      async (name: string, given: string | undefined, options: { raw?: boolean; enter?: boolean; stdin?: boolean }) => {
        if ((given === undefined) !== (options.stdin === true))
          throw new QmpilotError('USAGE', 'type: which text?', { hint: 'name it, or pass it by --stdin; not both' });
        const text =
          given === undefined
            ? (await readInput()).toString().replace(/\r?\n$/, '')
            : options.raw === true
              ? given
              : unescape(given);
        const typed = `${text}${options.enter === true ? '\n' : ''}`;
        await interruptible('typing no further', (signal) => call(name, 'type', { text: typed }, { signal }));
      },
    );

  program
    .command('press')
    .description("press keys on a vm's serial console, one after the other")
    .argument('<vm>', 'its name')
    .argument('<key...>', 'Enter, C-c, C-b, M-x, Up, F5, q, ...')
    .action(async (name: string, keys: string[]) => {
      await interruptible('typing no further', (signal) => call(name, 'press', { keys }, { signal }));
    });
}

const ESCAPES: Readonly<Record<string, string>> = { 'n': '\n', 'r': '\r', 't': '\t', 'e': '\x1b', '\\': '\\' };

export function unescape(text: string): string {
  return text.replace(/\\(.?)/g, (whole, letter: string) => {
    const meant = ESCAPES[letter];
    if (meant === undefined)
      throw new QmpilotError('USAGE', `${whole} in the text means nothing`, {
        hint: 'use \\n, \\r, \\t, \\e or \\\\, or say --raw',
      });
    return meant;
  });
}

import { describe, expect, it } from 'vitest';
import { createProgram } from './program.js';

function help(width: number, ...path: readonly string[]): string {
  let command = createProgram('0');
  for (const name of path) {
    const child = command.commands.find((one) => one.name() === name);
    if (!child) throw new Error(`no command ${name}`);
    command = child;
  }
  let text = '';
  command.configureOutput({ getOutHelpWidth: () => width, writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

describe('the help', () => {
  it('groups the commands, and shows the subcommands', () => {
    const text = help(100);
    for (const heading of [
      'Named VMs:',
      'Console and input:',
      'Diagnosis:',
      'Snapshots:',
      'Runs:',
      'Images:',
      'Tools:',
    ])
      expect(text).toContain(`\n${heading}\n`);
    expect(text).toMatch(/\n {2}snapshot save +\S/);
    expect(text).toMatch(/\n {2}guest build +\S/);
    expect(text).not.toContain('Commands:');
    expect(help(80, 'snapshot')).not.toContain('Commands:');
  });

  it.each([60, 80, 120])('fits a terminal of %i columns, for each command', (width) => {
    const paths = createProgram('0').commands.flatMap((command) => [
      [command.name()],
      ...command.commands.map((child) => [command.name(), child.name()]),
    ]);
    for (const path of [[], ...paths])
      for (const line of help(width, ...path).split('\n'))
        // Examples are not wrapped, so that they can be copied: they are written to fit.
        if (!line.startsWith('Usage:'))
          expect({ path, line, fits: line.length <= width }).toEqual({ path, line, fits: true });
  });
});

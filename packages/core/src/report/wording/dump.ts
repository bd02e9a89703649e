import { commandLine } from './command-line.js';

/** The command that reads the dump of an attempt, in the run directory. */
export function openCommand(dump: string): string {
  return `qmpilot explain --stacks --dump ${commandLine([dump])}`;
}

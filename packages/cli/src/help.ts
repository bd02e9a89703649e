import {
  Help,
  type AddHelpTextContext,
  type Command,
  type HelpConfiguration,
  type OutputConfiguration,
} from 'commander';
import { wrapParagraphs } from './render/text/wrap-words.js';

/** Below this many cells for a description it is not wrapped but left as one line. */
const MIN_DESCRIPTION_WIDTH = 20;

/** Names of commands without their arguments, so that descriptions have room; groups such as `guest` are shown by their subcommands. */
export const HELP_CONFIGURATION: HelpConfiguration = {
  minWidthToWrap: MIN_DESCRIPTION_WIDTH,
  subcommandTerm: commandPath,
  visibleCommands(command) {
    const visible = Help.prototype.visibleCommands.call(this, command);
    if (command.parent) return visible;
    return visible.flatMap((child) => (child.commands.length > 0 ? [...child.commands] : [child]));
  },
};

/** Errors of the parser look like all others. */
export const OUTPUT_CONFIGURATION: OutputConfiguration = {
  outputError: (text, write) => write(text.replace(/^error: /, 'qmpilot: ')),
};

/** A text below the help of a command, wrapped to the terminal. */
export function helpText(text: string): (context: AddHelpTextContext) => string {
  return ({ command, error }) => {
    const output = command.configureOutput();
    const width = (error ? output.getErrHelpWidth?.() : output.getOutHelpWidth?.()) ?? 80;
    // The texts are ASCII; string-width takes half as long to load as Node.js to start.
    return `\n${wrapParagraphs(text.trim(), width, (part) => part.length)}`;
  };
}

/** `snapshot save`: the command as it is typed after `qmpilot`. */
export function commandPath(command: Command): string {
  const parent = command.parent;
  return parent?.parent ? `${commandPath(parent)} ${command.name()}` : command.name();
}

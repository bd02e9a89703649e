import { isQmpilotError } from '@qmpilot/core';
import { cliHint, cliMessage } from './cli-hint.js';
import { visible } from './text/visible.js';
import { wrapLine } from './text/wrap.js';

const SHOWN_LINES = 40;
const HINT_INDENT = ' '.repeat(5);

/** Prints an error on standard error, wrapped where that is a terminal. */
export function printError(error: unknown): void {
  process.stderr.write(renderError(error, process.stderr.columns || undefined));
}

/**
 * Renders an error for people: the message, the evidence, and the hint in words of the command line.
 * @param width cells of the terminal; undefined for a pipe or file, where nothing is wrapped
 */
export function renderError(error: unknown, width = Number.POSITIVE_INFINITY): string {
  if (!(error instanceof Error)) return `qmpilot: ${visible(String(error))}\n`;
  if (!isQmpilotError(error))
    return `qmpilot: internal error (please report): ${(error.stack ?? error.message).split('\n').map(visible).join('\n')}\n`;
  const { console: shown, stderr } = error.evidence;
  const block = (title: string, lines: readonly string[] | undefined) =>
    lines === undefined || lines.length === 0
      ? []
      : [
          `  ${title}:`,
          ...withoutEmptyEnd(lines)
            .slice(-SHOWN_LINES)
            .map((line) => `    | ${visible(line)}`),
        ];
  return [
    wrapLine(`qmpilot: ${visible(cliMessage(error.message))}`, width, ''),
    ...block('console', shown),
    ...block('standard error', stderr),
    ...(error.hint === undefined ? [] : [wrapLine(`  -> ${visible(cliHint(error.hint))}`, width, HINT_INDENT)]),
    '',
  ].join('\n');
}

function withoutEmptyEnd(lines: readonly string[]): readonly string[] {
  return lines.slice(0, lines.findLastIndex((line) => line.trim() !== '') + 1);
}

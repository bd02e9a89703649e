import { isQmpilotError } from '@qmpilot/core';
import { cliHint } from './cli-hint.js';
import { visible } from './text/visible.js';

const SHOWN_LINES = 40;

/** Renders an error for people: the message, the evidence, and the hint in words of the command line. */
export function renderError(error: unknown): string {
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
    `qmpilot: ${visible(error.message)}`,
    ...block('console', shown),
    ...block('standard error', stderr),
    ...(error.hint === undefined ? [] : [`  -> ${visible(cliHint(error.hint))}`]),
    '',
  ].join('\n');
}

function withoutEmptyEnd(lines: readonly string[]): readonly string[] {
  return lines.slice(0, lines.findLastIndex((line) => line.trim() !== '') + 1);
}

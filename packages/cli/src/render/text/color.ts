import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Styles a text for a stream, if it is a terminal; `NO_COLOR`, `NODE_DISABLE_COLORS` and `FORCE_COLOR` are honoured. */
export function paint(format: Format, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(format, text, { stream });
}

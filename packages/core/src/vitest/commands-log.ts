import { formatDuration } from '../util/text/format.js';
import { escapeUnsafe, stripEscapes } from '../util/text/text-hygiene.js';
import type { VmEvent } from '../vm/events.js';

const MAX_COMMANDS = 50;

/** Returns the last commands that ran in the guest, each with its exit code and the end of its output, as a text for users. */
export function commandsLog(events: readonly VmEvent[]): string {
  return events
    .filter((event) => event.type === 'exec')
    .slice(-MAX_COMMANDS)
    .map(({ at, command, exitCode, ms, output = '' }) => {
      const text = escapeUnsafe(stripEscapes(output)).trimEnd();
      const head = `$ ${escapeUnsafe(command)}\n# ended at ${formatDuration(at)} with exit code ${exitCode} after ${formatDuration(ms)}\n`;
      return text === '' ? head : `${head}${text}\n`;
    })
    .join('\n');
}

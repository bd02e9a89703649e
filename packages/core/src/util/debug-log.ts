import { escapeLine } from './text/text-hygiene.js';
import { wallTime } from './time/clock.js';

/** Channels of the debug log: QMP messages, bytes of consoles, starts and ends of QEMU, steps of snapshots. */
export type DebugChannel = 'qmp' | 'console' | 'process' | 'snapshot';

/** Writes one line; `text` is called only when the line is written. */
export type DebugLog = (text: () => string) => void;

/** Longest line, in characters. */
const MAX_LENGTH = 4000;

/** Values of JSON members that may hold a secret. */
const SECRETS = /("(?:password|secret|data|input-data|buf-b64)"\s*:\s*")(?:[^"\\]|\\.)*"/g;

const enabled: ReadonlySet<string> = new Set(
  (process.env['QMPILOT_DEBUG'] ?? '').split(',').map((name) => name.trim()),
);

/**
 * Returns the log of a channel, or undefined when `$QMPILOT_DEBUG` does not name it (`QMPILOT_DEBUG=qmp,process`, or `*`). Lines go
 * to standard error with their time; bytes of the guest are escaped, secrets are left out.
 */
export function debugLog(channel: DebugChannel): DebugLog | undefined {
  if (!enabled.has(channel) && !enabled.has('*')) return undefined;
  return (text) => {
    const line = escapeLine(text().trimEnd().replace(SECRETS, '$1***"'));
    const shown = line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}... (${line.length} characters)` : line;
    process.stderr.write(`${wallTime()} qmpilot:${channel} ${shown}\n`);
  };
}

/** The fields of one record of a journal, of `dmesg -J` or of a container's log. */
export type RecordFields = Readonly<Record<string, unknown>>;

/** Fields that contain the text, the most specific first: journal, dmesg, docker, log collectors, cloud consoles. */
const MESSAGE_FIELDS = ['MESSAGE', 'msg', 'log', 'message', 'textPayload', 'line'] as const;
/** Fields that name the program that wrote a message. */
const WRITER_FIELDS = ['_TRANSPORT', 'SYSLOG_IDENTIFIER', 'ident', 'appname', '_COMM'] as const;
const TIME_FIELDS = ['_SOURCE_MONOTONIC_TIMESTAMP', '__MONOTONIC_TIMESTAMP'] as const;
const MAX_LINES = 64;

/** The record as lines of a console, each with a line end; empty where it holds no message. */
export function recordLines(fields: RecordFields): string {
  const key = MESSAGE_FIELDS.find((name) => messageText(fields[name]) !== undefined);
  const text = key === undefined ? undefined : messageText(fields[key]);
  if (key === undefined || text === undefined) return '';
  const prefix = prefixOf(fields, key);
  return text
    .replace(/\r?\n$/, '')
    .split('\n', MAX_LINES)
    .map((line) => `${prefix}${line}\n`)
    .join('');
}

function prefixOf(fields: RecordFields, key: string): string {
  const writers = WRITER_FIELDS.flatMap((name) => (typeof fields[name] === 'string' ? [fields[name]] : []));
  const dmesg = key === 'msg' && 'pri' in fields;
  if (writers.length > 0 && !writers.includes('kernel')) return `Jan  1 00:00:00 host program[1]: `;
  if (writers.length === 0 && !dmesg) return '';
  const micros = TIME_FIELDS.map((name) => Number(fields[name])).find((time) => time > 0);
  const seconds = micros === undefined ? Number(fields['time'] ?? Number.NaN) : micros / 1e6;
  return Number.isFinite(seconds) ? `[${seconds.toFixed(6).padStart(12)}] ` : '<4>';
}

/** journald writes an array of bytes where a message is no UTF-8. */
function messageText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((byte) => typeof byte === 'number'))
    return Buffer.from(value).toString('utf8');
  return undefined;
}

import { stripEscapes } from './escapes.js';
import { KERNEL_FORMS, LAVA_END, LAVA_RECORD, PROGRAM_LINE, VENDOR_TASK, WRAPPERS } from './line-forms.js';

/** One line of the console, without its prefixes. */
export interface KernelLine {
  /** The message, without timestamp, level, caller tag, escape sequences. At most `MAX_TEXT` characters. */
  readonly text: string;
  /** Whether something before the text says that the kernel's log printed it. */
  readonly prefixed: boolean;
  /** Written by a user program through the system log: never the kernel's own words. */
  readonly foreign: boolean;
  /** Seconds since boot. */
  readonly time: number | undefined;
  /** `T123` or `C1` (CONFIG_PRINTK_CALLER), `XEN` for the hypervisor, which tells apart contexts that print at the same time. */
  readonly caller: string | undefined;
  /** The form it was found in, by its name in `KERNEL_FORMS` or `WRAPPERS`. */
  readonly form?: string;
}

const MAX_TEXT = 1000;
const MAX_WRAPPERS = 5;
const ESC = '\u001b';

/**
 * The console's own form: `<4>[   12.345678][  T123] `; formats in kernel/printk/printk.c. `dmesg -d` adds `<    0.000012>`,
 * `journalctl -o short-delta` the same with a blank or an asterisk, some vendors ` / 01-21 04:41:44.123`, Huawei `s`, Amlogic `@` and the CPU.
 */
const STAMP =
  /(?:<\d{1,3}>)?\[ {0,12}(\d{1,16}\.\d{6})(?:s|@\d{1,3})?(?: < {0,16}[\d.-]{1,18}[ *]?>| \/ [\d:. -]{8,32})?\](?: ?\[ {0,12}([TC]\d{1,10})[^\]\n]{0,32}\])? ?/g;
const STAMP_AT_START = new RegExp(`^${STAMP.source}`);
/** `journalctl -o short-monotonic` has the host behind the timestamp. */
const MONOTONIC = /^(?:[\w.-]{1,255} )?kernel: /;
/** A record as `/dev/kmsg` gives it: `4,1001,10000002,-,caller=T12;`; Documentation/ABI/testing/dev-kmsg. */
const KMSG = /^\d{1,4},\d{1,12},(\d{1,16}),[^;,]{1,4}(?:,caller=([TC]\d{1,10}))?(?:,[^;]{1,64})?;/;
/** A pane's border (U+2500 to U+257F), as bytes. */
const BORDER = /\u00e2[\u0094\u0095][\u0080-\u00bf]/;
const MAX_PATH = 128;
/** The text before a log line that a program quotes: a quotation mark, or `FILE:LINE:` of a search. */
const QUOTES = /["'`]$|(?:^|\s)[\w~+-]{0,64}[./][\w./~+-]{1,96}:(?:\d{1,9}:)?$/;
/** Marks of inline code or of a mail before a line are no quotation. */
const MARKS_ONLY = /^[\s>|`*\u00ef\u00bb\u00bf]*$/;
/** Nearly no message begins like this: cheaper to ask than for what may stand there. */
const MAY_BE_TASK = /^(?:[-.([<]| {1,2}\[ {0,4}\d|[A-Z]{1,2}\[|c\d)/;
const CLOCK = /\d:\d\d/;
const NUMBER_SOON = /^.{0,32}\d\d/;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** Context of a line, known before it is parsed. */
export interface LineOptions {
  /** It holds no control characters. */
  readonly plain?: boolean;
  /** Its log has timestamps, so that what a program put before a line without one need not be taken away. */
  readonly stamped?: boolean;
}

/** Reads one line. */
export function parseKernelLine(
  raw: string,
  { plain: plainText = false, stamped = false }: LineOptions = {},
): KernelLine {
  const shown = plainText ? raw : (raw.includes(ESC) ? stripEscapes(raw) : raw).replace(CONTROL, '');
  const line = shown.startsWith('- ') ? shown.replace(LAVA_RECORD, '').replace(LAVA_END, '') : shown;
  const stamp = findStamp(line);
  if (stamp !== undefined) return stamp;
  let rest = line;
  let wrapper: string | undefined;
  for (let count = 0; count <= MAX_WRAPPERS; count++) {
    const known = readForm(rest);
    if (known !== undefined) return known;
    const match = stamped ? undefined : unwrap(rest);
    if (match === undefined) break;
    wrapper = match.name;
    rest = rest.slice(match.length);
  }
  return plain(rest, false, false, wrapper);
}

/** Whether the line begins with the kernel's timestamp: cheap enough to ask of any line. */
export function startsWithStamp(raw: string): boolean {
  return STAMP_AT_START.test(raw);
}

function readForm(line: string): KernelLine | undefined {
  const timed = CLOCK.test(line.slice(0, 64));
  for (const { name, pattern } of KERNEL_FORMS) {
    if (name === 'syslog' && !timed && !line.includes('kern')) continue;
    const match = pattern.exec(line);
    if (match === null) continue;
    const known = plain(line.slice(match[0].length), true, false, name);
    return name === 'xen' ? { ...known, caller: 'XEN' } : known;
  }
  const record = KMSG.exec(line);
  if (record !== null) {
    const text = plain(line.slice(record[0].length), true, false, undefined);
    return { ...text, time: Number(record[1]) / 1e6, caller: record[2] };
  }
  if (timed && PROGRAM_LINE.test(line)) return plain(line.replace(PROGRAM_LINE, ''), false, true, 'program');
  return undefined;
}

function unwrap(line: string): { readonly name: string; readonly length: number } | undefined {
  const numbered = NUMBER_SOON.test(line);
  for (const { name, pattern, number } of WRAPPERS) {
    if (number === true && !numbered) continue;
    const length = pattern.exec(line)?.[0].length ?? 0;
    if (length > 0) return { name, length };
  }
  return undefined;
}

function plain(text: string, prefixed: boolean, foreign: boolean, form: string | undefined): KernelLine {
  const line = { text: withinPane(text.slice(0, MAX_TEXT)), prefixed, foreign, time: undefined, caller: undefined };
  return form === undefined ? line : { ...line, form };
}

/**
 * The last timestamp of the line begins the message: before it may stand a prompt, a pane's drawing, or what another
 * context had printed without a line end.
 */
function findStamp(line: string): KernelLine | undefined {
  let quoted = false;
  let last = STAMP_AT_START.exec(line) ?? undefined;
  const from = last === undefined ? 0 : last[0].length;
  // A second one ends as every timestamp does; to look for that first is cheaper than to try at every bracket.
  if (line.indexOf('] ', from) !== -1) {
    STAMP.lastIndex = from;
    for (let match = STAMP.exec(line); match !== null; match = STAMP.exec(line)) {
      const before = line.slice(Math.max(0, match.index - MAX_PATH), match.index);
      if (QUOTES.test(before) && !MARKS_ONLY.test(before)) quoted = true;
      else last = match;
    }
  }
  if (last === undefined) return quoted ? plain(line, false, true, undefined) : undefined;
  const start = last.index + last[0].length;
  const text = withinPane(line.slice(start, start + MAX_TEXT));
  return {
    text: withoutTask(text.includes('kernel: ') ? text.replace(MONOTONIC, '') : text),
    prefixed: true,
    foreign: false,
    time: Number(last[1]),
    caller: last[2],
  };
}

/** Without what a phone's vendor put before the message. */
function withoutTask(text: string): string {
  return MAY_BE_TASK.test(text) ? text.replace(VENDOR_TASK, '') : text;
}

/** Without what a terminal multiplexer drew to the right of the message. */
function withinPane(text: string): string {
  const border = text.includes('\u00e2') ? text.search(BORDER) : -1;
  return border === -1 ? text : text.slice(0, border).trimEnd();
}

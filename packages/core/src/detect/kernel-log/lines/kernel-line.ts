/** One line of the console, without what stands before the kernel's own words. */
export interface KernelLine {
  /** The message, without timestamp, level, caller tag, escape sequences. At most `MAX_TEXT` characters. */
  readonly text: string;
  /** Whether something before the text says that the kernel's log printed it. */
  readonly prefixed: boolean;
  /** Written by a user program through the system log: never the kernel's own words. */
  readonly foreign: boolean;
  /** Seconds since boot. */
  readonly time: number | undefined;
  /** `T123` or `C1` (CONFIG_PRINTK_CALLER), which tells apart contexts that print at the same time. */
  readonly caller: string | undefined;
}

const MAX_TEXT = 1000;
const ESC = '\u001b';

/** The console's own form: `<4>[   12.345678][  T123] `; formats in kernel/printk/printk.c. `dmesg -d` adds `<    0.000012>`. */
const STAMP =
  /(?:<\d{1,3}>)?\[ {0,12}(\d{1,10}\.\d{6})(?: < {0,12}\d{1,10}\.\d{6}>)?\](?: ?\[ {0,12}([TC]\d{1,10})[^\]\n]{0,32}\])? ?/g;
const STAMP_AT_START = new RegExp(`^${STAMP.source}`);
const LEVEL = /^<\d{1,3}>/;
/** `dmesg -T`, `-H` (the first line of a minute, then the others), `--time-format iso`, `-x`. */
const DMESG =
  /^(?:[a-z]{3,8} {0,4}:[a-z]{3,8} {0,4}: )?(?:\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] |\[[A-Z][a-z]{2} {0,2}\d{1,2} \d\d:\d\d\] |\[ {0,6}\+\d{1,7}\.\d{6}\] |\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:\d\d )/;
const FACILITY = /^kern {0,4}:[a-z]{3,8} {0,4}: /;
/** syslog and journal: `Nov 24 06:00:00 host kernel: `; also `-o short-full` and `short-unix`. */
const SYSLOG =
  /^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?|[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Z+\d-]{1,6}|\d{9,11}\.\d{6}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) [^ ]{1,64} ([^ :[]{1,64})(?:\[\d{1,10}\])?: /;
/** `journalctl -o short-monotonic` has the host behind the timestamp. */
const MONOTONIC = /^[\w.-]{1,64} kernel: /;
/** A record as `/dev/kmsg` gives it: `4,1001,10000002,-,caller=T12;`; Documentation/ABI/testing/dev-kmsg. */
const KMSG = /^\d{1,4},\d{1,12},(\d{1,16}),[^;,]{1,4}(?:,caller=([TC]\d{1,10}))?(?:,[^;]{1,64})?;/;
/** RFC 5424: `<4>1 TIME HOST APP PROCID MSGID - `. */
const SYSLOG_5424 = /^<\d{1,3}>1 [^ ]{1,40} [^ ]{1,64} ([^ ]{1,64}) [^ ]{1,64} [^ ]{1,64} - /;
/** A pane's border (U+2500 to U+257F), as bytes. */
const BORDER = /\u00e2[\u0094\u0095][\u0080-\u00bf]/;
const MAX_PATH = 128;
/** What stands right before a line of the log that a program shows as text: a quotation mark, or `FILE:LINE:` of a search. */
const QUOTES = /["'`]$|(?:^|\s)[\w~+-]{0,64}[./][\w./~+-]{1,96}:(?:\d{1,9}:)?$/;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** `plainText`: the line is known to hold no control characters. */
export function parseKernelLine(raw: string, plainText = false): KernelLine {
  const line = plainText ? raw : (raw.includes(ESC) ? stripEscapes(raw) : raw).replace(CONTROL, '');
  const stamp = findStamp(line);
  if (stamp !== undefined) return stamp;
  const syslog = SYSLOG.exec(line) ?? SYSLOG_5424.exec(line);
  if (syslog !== null) {
    const own = syslog[1] === 'kernel';
    return plain(line.slice(syslog[0].length), own, !own);
  }
  for (const form of [DMESG, FACILITY, LEVEL]) {
    const match = form.exec(line);
    if (match !== null) return plain(line.slice(match[0].length), true, false);
  }
  const record = KMSG.exec(line);
  if (record !== null)
    return { ...plain(line.slice(record[0].length), true, false), time: Number(record[1]) / 1e6, caller: record[2] };
  return plain(line, false, false);
}

/** Whether the line begins with the kernel's timestamp: cheap enough to ask of any line. */
export function startsWithStamp(raw: string): boolean {
  return STAMP_AT_START.test(raw);
}

function plain(text: string, prefixed: boolean, foreign: boolean): KernelLine {
  return { text: withinPane(text.slice(0, MAX_TEXT)), prefixed, foreign, time: undefined, caller: undefined };
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
      if (QUOTES.test(line.slice(Math.max(0, match.index - MAX_PATH), match.index))) quoted = true;
      else last = match;
    }
  }
  if (last === undefined) return quoted ? plain(line, false, true) : undefined;
  const text = withinPane(line.slice(last.index + last[0].length, last.index + last[0].length + MAX_TEXT));
  return {
    text: text.includes(' kernel: ') ? text.replace(MONOTONIC, '') : text,
    prefixed: true,
    foreign: false,
    time: Number(last[1]),
    caller: last[2],
  };
}

/** Without what a terminal multiplexer drew to the right of the message. */
function withinPane(text: string): string {
  const border = text.includes('\u00e2') ? text.search(BORDER) : -1;
  return border === -1 ? text : text.slice(0, border).trimEnd();
}

/** Removes terminal sequences (ECMA-48: CSI, OSC and the two-byte ones) in one pass. */
export function stripEscapes(text: string): string {
  let out = '';
  let from = 0;
  for (let at = text.indexOf(ESC); at !== -1; at = text.indexOf(ESC, from)) {
    out += text.slice(from, at);
    from = escapeEnd(text, at);
  }
  return out + text.slice(from);
}

function escapeEnd(text: string, at: number): number {
  const kind = text.charAt(at + 1);
  if (kind === '[') {
    let i = at + 2;
    while (i < text.length && !isBetween(text.charCodeAt(i), 0x40, 0x7e)) {
      if (!isBetween(text.charCodeAt(i), 0x20, 0x3f)) return i;
      i++;
    }
    return Math.min(i + 1, text.length);
  }
  if (kind === ']' || kind === 'P' || kind === '_' || kind === '^') {
    for (let i = at + 2; i < text.length; i++) {
      if (text.charCodeAt(i) === 7) return i + 1;
      if (text.charAt(i) === ESC) return text.charAt(i + 1) === '\\' ? i + 2 : i;
    }
    // Never closed within the line: what follows may be the kernel's, so only the opening goes.
    return at + 2;
  }
  let i = at + 1;
  while (i < text.length && isBetween(text.charCodeAt(i), 0x20, 0x2f)) i++;
  return Math.min(i + 1, text.length);
}

function isBetween(code: number, low: number, high: number): boolean {
  return code >= low && code <= high;
}

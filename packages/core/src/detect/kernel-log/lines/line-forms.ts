import { union } from '../../union.js';

/** The wall-clock time that a system log, a terminal program or a CI service puts before a line. */
const TIME = union([
  // ISO 8601, by rsyslog, CI services and container runtimes; journalctl -o short-iso
  '\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?(?: ?(?:Z|UTC|[+-]\\d\\d:?\\d\\d))?',
  // journalctl -o short-full in any language: `Tue 2025-01-21 04:41:44 CET`
  '[^\\s\\d[\\]:]{1,16} \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,6})?(?: (?:[A-Z]{2,5}|[+-]\\d\\d(?:\\d\\d)?))?',
  // syslog, journal and asctime() in any language: `Jan 21 04:41:44`, `sty 21 04:41:44`, `1月 21 04:41:44`, `Tue Jan 21 04:41:44 2025`
  '(?:[^\\s[\\]:<>]{1,24} {1,2}){0,4}?\\d{1,2}:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?(?: [AP]M)?(?: \\d{4})?',
  // journalctl -o short-unix, ts %.s
  '\\d{9,11}\\.\\d{3,6}',
]);
/** Host name, `FACILITY.LEVEL`; none ends in a colon, as a program's name does. */
const WORD = '[^ ]{0,254}[^ :] ';

/** A form that a line of the kernel's log takes in a file; the message follows it. */
export interface LineForm {
  readonly name: string;
  readonly pattern: RegExp;
  /** It begins with a number or a time. */
  readonly number?: boolean;
}

const form = (name: string, source: string): LineForm => ({ name, pattern: new RegExp(`^${source}`) });
const numberForm = (name: string, source: string): LineForm => ({ ...form(name, `(?:${source})`), number: true });

/** Prefixes that only messages of the kernel have. */
export const KERNEL_FORMS: readonly LineForm[] = [
  // `Nov 24 06:00:00 host kernel: `, without a host name too, with `kern.alert` (busybox, OpenWrt)
  form(
    'syslog',
    ` {0,2}(?:<\\d{1,3}>)?\\[?${TIME}\\]? (?:${WORD}){0,3}?(?:kernel(?:\\[\\d{1,10}\\])?|kern\\.[a-z]{3,8}): ?`,
  ),
  // RFC 5424, with and without the priority
  form('rfc5424', `(?:<\\d{1,3}>)?1 [^ ]{1,40} [^ ]{1,255} kernel [^ ]{1,128} [^ ]{1,32} (?:-|\\[[^\\]]{0,256}\\]) `),
  // syslogd to all terminals, or a log whose time and host were cut off
  form('wall', ' {0,4}kernel(?:\\[\\d{1,10}\\])?: ?'),
  // dmesg -T, -H (the first line of a minute, then the others), --time-format iso, each perhaps with -x
  form(
    'dmesg',
    `(?:[a-z]{3,8} {0,4}:[a-z]{3,8} {0,4}: )?${union([
      '\\[[^\\s\\d[\\]:]{1,16} [^\\s[\\]:]{1,16} {1,2}\\d{1,2} \\d\\d:\\d\\d:\\d\\d \\d{4}(?: < {0,12}[-+]?\\d{1,10}\\.\\d{6}>)?\\] ',
      '\\[[^\\s\\d[\\]:]{1,16} {0,2}\\d{1,2} \\d\\d:\\d\\d\\] ',
      '\\[ {0,6}\\+\\d{1,7}\\.\\d{6}\\] ',
      '\\[[ <]{1,3} {0,12}\\d{1,10}\\.\\d{6}>\\] ',
      '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d,\\d{6}[+-]\\d\\d:\\d\\d ',
    ])}`,
  ),
  // dmesg -x -t
  form('facility', 'kern {0,4}:[a-z]{3,8} {0,4}: '),
  form('level', '<\\d{1,3}>'),
  // The hypervisor's own messages
  form('xen', '\\(XEN\\) {0,2}(?:\\[[^\\]]{1,48}\\] ?)?'),
  // Android's logcat -b kernel
  form('logcat', '\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3} +(?:\\w{1,16} +)?0 +0 [VDIWEF] [^:]{0,40}: '),
];

/** A line of a program: `Nov 24 06:00:00 host node[312]: `. */
export const PROGRAM_LINE: RegExp = new RegExp(
  `^(?:<\\d{1,3}>)?(?:${TIME} (?:${WORD}){0,3}?(?!kernel\\[)[^ :[\\]]{1,64}\\[\\d{1,10}\\]: |1 [^ ]{1,40} [^ ]{1,64} (?!kernel )[^ ]{1,64} [^ ]{1,64} [^ ]{1,64} - )`,
);

/** Prefixes of a line that say nothing about who wrote it. Removed one after the other. */
export const WRAPPERS: readonly LineForm[] = [
  // a byte order mark, as its bytes
  form('bom', '\\u00ef\\u00bb\\u00bf'),
  // mail, Markdown
  form('quote', '[ \\t]{0,8}(?:[>|] ?)+(?=.)'),
  form('code', '[`*]{1,3}(?=.)'),
  // GitHub's `gh run view --log`
  form('gh', '[^\\t]{1,200}\\t[^\\t]{0,200}\\t(?=\\u00ef?\\u00bb?\\u00bf?\\d{4}-\\d\\d-\\d\\dT)'),
  // docker compose, podman
  form('compose', '[\\w.-]{1,64} {1,32}\\| '),
  // GitLab CI, Kubernetes
  numberForm(
    'container',
    '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?(?:Z|[+-]\\d\\d:\\d\\d) (?:std(?:out|err) [FP] ?|\\d\\d[OE][ +]?)',
  ),
  // Jenkins, tio, minicom, conserver
  numberForm('bracketed time', `\\[${TIME}\\][: ]? ?`),
  // GitHub, Azure, ts
  numberForm('time', `${TIME} {1,3}(?=\\S)|${TIME} (?=\\s)`),
  // grabserial, ts -i %.s
  numberForm('elapsed', '(?:\\[\\d{1,7}\\.\\d{6} \\d{1,7}\\.\\d{6}\\]|\\d{1,6}\\.\\d{6}) '),
  // seconds without a fraction
  form('seconds', '\\[ {0,8}\\d{1,7}\\.\\] '),
  // cat -n
  form('line number', ' {0,6}\\d{1,7}\\t'),
];

/** LAVA writes each line of a board as a record; the message is quoted. */
export const LAVA_RECORD = /^- ?\{.{0,80}?["']?msg["']?: ?["']/;
export const LAVA_END = /["'] ?\}\s*$/;

/** Vendors of phones put CPU and task between the timestamp and the message. */
export const VENDOR_TASK: RegExp = new RegExp(
  `^${union([
    // MediaTek: `(0)[114:modprobe]`
    '(?:<\\d>)?[-. ]{0,2}\\(\\d{1,3}\\)\\[\\d{1,10}:[^\\]]{1,32}\\] ?',
    // Samsung: ` [0:  modprobe:  114] `, `I[0: modprobe: 114] `
    ' {0,2}[A-Z]{0,2}\\[ {0,4}\\d{1,3}: {0,16}[^\\]]{1,32}: {0,8}\\d{1,10}\\] ?',
    // Huawei: `[2021:03:04 11:29:42][pid:1,cpu4,swapper/0]`
    '(?:\\[\\d{4}:\\d\\d:\\d\\d \\d\\d:\\d\\d:\\d\\d\\] ?)?\\[pid:\\d{1,10},cpu ?\\d{1,4},[^\\]]{1,40}\\] ?',
    // Sony: `(CPU:0-pid:114:modprobe) `
    '\\(CPU:\\d{1,4}-pid:\\d{1,10}:[^)]{1,40}\\) ?',
    // Qualcomm's phones: `[20210304_11:29:42.123456]@0 `
    '\\[\\d{8}_\\d\\d:\\d\\d:\\d\\d\\.\\d{1,6}\\]@\\d{1,3} ',
    // HTC: `[K] `, Spreadtrum: `c0   114 `
    '\\[K\\] ',
    'c\\d{1,2} {1,8}(?:\\d{1,10} )?',
    // a level that printk did not take for one
    '<\\d>',
  ])}`,
);

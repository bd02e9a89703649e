/** Stages of a boot, in this order. */
export type BootStage = 'nothing' | 'firmware' | 'boot-loader' | 'kernel' | 'initramfs' | 'init' | 'login';

/** The progress of a boot, by its console. */
export interface BootProgress {
  readonly stage: BootStage;
  /** The line that says why it does not continue, where there is one: text of the guest. */
  readonly obstacle?: string;
  /** The last lines, blank ones left out. */
  readonly last: readonly string[];
}

const ORDER: readonly BootStage[] = ['nothing', 'firmware', 'boot-loader', 'kernel', 'initramfs', 'init', 'login'];
const STAGES: readonly (readonly [BootStage, RegExp])[] = [
  ['login', /(?:^|\s)login: ?$|^[\w.@-]{1,64}[ :][^ ]{0,64}[#$] ?$|automatic login/],
  [
    'init',
    /systemd\[1\]: |^\[(?:  OK  | TIME |DEPEND|FAILED)\] |Welcome to (?!GRUB)[A-Z]|OpenRC \d|INIT: version|^ {9}Starting |^Starting version|as init process.*\/sbin\/init|\*{3}\] (?:A start job|Job )|^init: /,
  ],
  [
    'initramfs',
    /^Loading, please wait|^Begin: |dracut|\(initramfs\)|initramfs|Gave up waiting for|mdev -s|Run \/init as init process|stage-1/,
  ],
  [
    'kernel',
    /^\[ {0,5}\d{1,6}\.\d{6}\]|^Linux version \d|Booting the kernel|Decompressing Linux|EFI stub: |Booting Linux on physical/,
  ],
  ['boot-loader', /GRUB|SYSLINUX|ISOLINUX|systemd-boot|U-Boot|Loading (?:Linux|initial ramdisk)|Booting from ROM/],
  ['firmware', /SeaBIOS|iPXE|BdsDxe|UEFI|OpenSBI|Booting from|No bootable device/],
];
/** Lines which say that the boot cannot continue. */
const OBSTACLE =
  /No bootable device|Boot failed|Kernel panic|Gave up waiting for|ALERT! .{1,200} does not exist|Cannot open root device|emergency (?:mode|shell)|Entering emergency|Timed out waiting for|Dependency failed for|rescue shell|\(initramfs\) ?$|A start job is running for|Job [^ ]{1,128}\/start running|dracut-initqueue(?:\[\d+\])?: (?:Warning|timeout)|unable to mount root|error: (?:no such|file)|login incorrect/i;
const MAX_LAST = 10;
const MAX_LINE = 300;

/** Reads from the console's lines, oldest first, how far the boot came. */
export function describeBoot(lines: readonly string[]): BootProgress {
  let stage: BootStage = 'nothing';
  let obstacle: string | undefined;
  for (const line of lines) {
    // eslint-disable-next-line no-control-regex
    const text = line.replace(/[\u0000-\u001f\u007f-\u009f]/g, '').slice(0, MAX_LINE);
    const reached = STAGES.find(([, form]) => form.test(text))?.[0];
    if (reached !== undefined && ORDER.indexOf(reached) > ORDER.indexOf(stage)) {
      stage = reached;
      // What stood in the way of an earlier stage did not.
      obstacle = undefined;
    }
    if (OBSTACLE.test(text)) obstacle = text.trim();
  }
  const last = lines.filter((line) => line.trim() !== '').slice(-MAX_LAST);
  return { stage, ...(obstacle === undefined ? {} : { obstacle }), last };
}

const WORDS: Readonly<Record<BootStage, string>> = {
  'nothing': 'nothing at all was printed',
  'firmware': 'the firmware',
  'boot-loader': 'the boot loader',
  'kernel': 'the kernel, before it started its first program',
  'initramfs': 'the initramfs, before the root file system was there',
  'init': 'the init system, before anybody could log in',
  'login': 'the login prompt',
};

/** `boot got stuck at the initramfs, ...: "ALERT! /dev/vdb1 does not exist."` */
export function formatBootProgress({ stage, obstacle, last }: BootProgress): string {
  if (stage === 'nothing' && last.length === 0) return 'boot got stuck before anything was printed';
  const said = obstacle ?? last.at(-1)?.trim().slice(0, MAX_LINE);
  const at = stage === 'nothing' ? 'an unknown place' : WORDS[stage];
  // eslint-disable-next-line no-control-regex
  return `boot got stuck at ${at}${said === undefined ? '' : `: "${said.replace(/[\u0000-\u001f\u007f-\u009f]/g, '')}"`}`;
}

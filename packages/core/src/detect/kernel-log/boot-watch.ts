import type { KernelLogFinding } from './kernel-log-finding.js';
import type { KernelLine } from './lines/kernel-line.js';

export const BOOT_LITERALS: readonly string[] = [
  'Linux version ',
  'Booting Linux on ',
  'reboot: ',
  'Resetting',
  'kexec_core: Starting new kernel',
  'Starting new kernel',
  'Booting the kernel',
];

/** init/version.c */
const BANNER = /^Linux version \d+\.\d+[^ ]* \(/;
/** arch/x86/boot/compressed/misc.c: before the kernel has a log. */
const DECOMPRESSOR = /(?:^|done\.[ \r\n]*)Booting the kernel\b/;
/** kernel/reboot.c, kernel/kexec_core.c, drivers/tty/sysrq.c */
const DELIBERATE =
  /^(?:reboot: (?:Restarting system|Power down|System halted|Power off not available)|(?:sysrq: )?(?:SysRq : )?Resetting$|kexec_core: Starting new kernel|Starting new kernel)/;
/** The kernel's next line after its banner: without timestamps, the banner alone may be `cat /proc/version`. */
const AFTER_BANNER =
  /^(?:Command line: |Kernel command line: |KERNEL supported cpus|Machine model: |OF: fdt|BIOS-provided|SBI |Disabled fast string|x86\/|random: |efi: |printk: |earlycon: )/;
const CONFIRM_WITHIN = 6;
/** A second console may print the first lines of one boot twice; in seconds and lines. */
const SURELY_RUNNING = 1;
const SAME_BOOT_LINES = 30;

/** Knows when the kernel boots a second time in one log, and whether it was asked to. */
export class BootWatch {
  #running = false;
  #deliberate = false;
  #bannerLine = -SAME_BOOT_LINES;
  /** Lines in which an unstamped banner may still be confirmed. */
  #unconfirmed = 0;

  /** Whether it must see the next lines although nothing in them stands out. */
  get needsMoreLines(): boolean {
    return this.#unconfirmed > 0;
  }

  /** The last line of the kernel's decompressor. */
  unpacks(line: KernelLine): boolean {
    return line.time === undefined && DECOMPRESSOR.test(line.text);
  }

  sawKernel(time: number): void {
    if (time >= SURELY_RUNNING) this.#running = true;
  }

  /** `lineNumber` counts every line of the log. */
  read(line: KernelLine, hit: boolean, lineNumber: number): 'expected' | 'unexpected' | undefined {
    if (this.#unconfirmed > 0) {
      this.#unconfirmed--;
      if (AFTER_BANNER.test(line.text)) return this.#booted(lineNumber);
    }
    if (!hit) return undefined;
    if (DELIBERATE.test(line.text)) this.#deliberate = true;
    if (this.#running && this.unpacks(line)) return this.#booted(lineNumber);
    if (!BANNER.test(line.text)) return undefined;
    if (line.time === undefined) {
      this.#unconfirmed = CONFIRM_WITHIN;
      return undefined;
    }
    // The banner is among the first messages; a later one is only quoted.
    return line.time < 1 ? this.#booted(lineNumber) : undefined;
  }

  finding(line: KernelLine, raw: string, atMs: number): KernelLogFinding {
    return {
      kind: 'reboot',
      severity: 'error',
      title: 'unexpected kernel reboot',
      signature: 'reboot: unexpected kernel reboot',
      at: atMs,
      ...(line.time === undefined ? {} : { kernelTime: line.time }),
      cut: false,
      interleaved: false,
      evidence: [raw.slice(0, 400)],
    };
  }

  #booted(lineNumber: number): 'expected' | 'unexpected' | undefined {
    this.#unconfirmed = 0;
    const again = this.#running && lineNumber - this.#bannerLine >= SAME_BOOT_LINES;
    this.#bannerLine = lineNumber;
    const expected = this.#deliberate;
    this.#running = true;
    this.#deliberate = false;
    return again ? (expected ? 'expected' : 'unexpected') : undefined;
  }
}

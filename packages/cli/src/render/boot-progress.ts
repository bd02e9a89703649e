/** Reasons longer than this are a program's error output. */
const MAX_REASON = 60;

/** Shortens a progress message of `boot` to one line: an accelerator's reason can be several lines of QEMU's errors. */
export function briefProgress(message: string): string {
  const [, qemu, accelerator, reason = ''] = /^(QEMU \S+)(?: \([^)]*\))?, (kvm|tcg): ([^]*)$/.exec(message) ?? [];
  if (qemu === undefined || accelerator === undefined) return message.split('\n')[0] ?? '';
  const brief =
    reason.length <= MAX_REASON && !reason.includes('\n') ? reason : 'KVM failed its check; see qmpilot doctor';
  return `${qemu} with ${accelerator.toUpperCase()} (${brief})`;
}

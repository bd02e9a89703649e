import { ageOf } from './text/durations.js';

/** Reasons longer than this are a program's error output. */
const MAX_REASON = 60;

/**
 * Shortens a progress message of `boot` to one line of a narrow terminal: an accelerator's reason can be several lines of QEMU's
 * errors, and the time of a saved snapshot is 24 characters long.
 */
export function briefProgress(message: string): string {
  const [, qemu, accelerator, reason = ''] = /^(QEMU \S+)(?: \([^)]*\))?, (kvm|tcg): ([^]*)$/.exec(message) ?? [];
  if (qemu === undefined || accelerator === undefined) return withAge(message.split('\n')[0] ?? '');
  const brief =
    reason.length <= MAX_REASON && !reason.includes('\n') ? reason : 'KVM failed its check; see qmpilot doctor';
  return `${qemu} with ${accelerator.toUpperCase()} (${brief})`;
}

function withAge(line: string): string {
  return line.replace(
    /^from the boot cache \(saved (\S+)\)/,
    (_, savedAt: string) => `from the boot cache (${ageOf(savedAt)} old)`,
  );
}

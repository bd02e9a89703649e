import type { Finding, TaskRef } from '../finding.js';

/** All kinds of failure that the kernel reports in its log. */
export const KERNEL_LOG_KINDS = [
  'hung-task',
  'task-cannot-die',
  'rcu-stall',
  'soft-lockup',
  'hard-lockup',
  'workqueue-lockup',
  'spinlock',
  'null-deref',
  'page-fault',
  'general-protection-fault',
  'invalid-opcode',
  'divide-error',
  'double-fault',
  'stack-overflow',
  'oops',
  'bug',
  'warning',
  'refcount',
  'list-corruption',
  'bad-page',
  'odebug',
  'usercopy',
  'slab-corruption',
  'kasan',
  'kmsan',
  'kcsan',
  'kfence',
  'ubsan',
  'deadlock',
  'lock-state',
  'rcu-usage',
  'lock-held',
  'atomic-sleep',
  'memory-leak',
  'netdevice-leak',
  'busy-inodes',
  'filesystem-error',
  'io-error',
  'oom-kill',
  'page-allocation',
  'hardware-error',
  'irq',
  'iommu-fault',
  'gpu-hang',
  'storage-stall',
  'zfs-panic',
  'kernel-panic',
  'reboot',
  'rust-panic',
] as const;

/** The kind of failure that the kernel reported. */
export type KernelLogKind = (typeof KERNEL_LOG_KINDS)[number];

/** The access that a sanitizer or a fault reports. */
export interface MemoryAccess {
  readonly kind: 'read' | 'write' | 'free' | 'execute' | 'unknown';
  /** Bytes. */
  readonly size?: number;
  /** As the kernel printed it, hexadecimal. */
  readonly address?: string;
}

/** The lock that a hung task waits for, where the kernel reports it (6.16 and later). */
export interface BlockedOn {
  readonly lock: 'mutex' | 'semaphore' | 'rw-semaphore';
  /** The task that likely holds it, or held it last. Absent where the kernel did not find it. */
  readonly owner?: TaskRef;
  /** How the owner holds an rw-semaphore. */
  readonly heldAs?: 'reader' | 'writer';
}

/** A failure that the kernel reported in its log. */
export interface KernelLogFinding extends Finding {
  readonly kind: KernelLogKind;
  /** The function that the title names. */
  readonly function?: string;
  /** The kernel's own clock at the first line, in seconds since its boot; absent where the log has no timestamps. */
  readonly kernelTime?: number;
  readonly access?: MemoryAccess;
  /** Of a hung task: the lock that it waits for, and who holds that. */
  readonly blockedOn?: BlockedOn;
  /** The kernel's reason for the panic that followed: `Fatal exception`. */
  readonly panic?: string;
  /** Title of the failure before it in the same boot that this one may only be the consequence of. */
  readonly after?: string;
  /** The report is not whole: messages were dropped, or the log ended or the machine restarted within it. */
  readonly cut: boolean;
  /** Lines of another report stand between its own, and nothing in the log tells them apart. */
  readonly interleaved: boolean;
}

/** Describes the panic that a finding reports, itself or as the end of another failure; undefined when the kernel continued. */
export function panicOf(finding: Finding): string | undefined {
  if (finding.kind === 'kernel-panic') return finding.title;
  return 'panic' in finding && typeof finding.panic === 'string'
    ? `${finding.title} (kernel panic: ${finding.panic})`
    : undefined;
}

import { readFileSync, readlinkSync } from 'node:fs';

/** `PID START`: the start time (field 22 of /proc/PID/stat) tells a reused pid from the one that was noted. */
export function processText(pid: number): string {
  return `${pid} ${startTime(pid) ?? '?'}\n`;
}

/** The same of this process, and where its pid means anything: containers may share /tmp or /dev/shm, and see no process of each other. */
export function ownerText(): string {
  return `${processText(process.pid).trim()} ${pidNamespace()} ${bootId()}\n`;
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '?';
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '?';
  }
}

/** Returns false for a process in another pid namespace, which cannot be seen from here. */
export function isGone(owner: string): boolean {
  const [, pid, started, namespace, boot] = /^(\d+) (\d+) (\S+) (\S+)$/.exec(owner.trim()) ?? [];
  if (pid === undefined || (namespace !== pidNamespace() && boot === bootId())) return false;
  return startTime(Number(pid)) !== started;
}

export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

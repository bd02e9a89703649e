import { availableParallelism, freemem } from 'node:os';

export interface HostCapacity {
  readonly cpus: number;
  readonly memoryMiB: number;
}

export interface ForkCount {
  readonly forks: number;
  /** The deciding limit, for users. */
  readonly reason: string;
}

/** Of the memory that is free, this share may become guests' own pages; the rest is the host's. */
const MEMORY_SHARE = 0.8;

/** CPUs and memory available to this process; cgroup and affinity count where Node.js reports them. */
export function hostCapacity(): HostCapacity {
  // Node.js 20.13 and later.
  const available = process.availableMemory?.() ?? freemem();
  return { cpus: availableParallelism(), memoryMiB: Math.floor(Math.min(available, freemem()) / 2 ** 20) };
}

/**
 * How many forks run at once: as many as asked for, else as many as have cores for all their CPUs, and memory for the case that
 * each writes to all of its RAM. Never more than there are attempts.
 */
export function chooseForks(
  asked: number | undefined,
  guest: { readonly cpus: number; readonly memoryMiB: number },
  todo: number,
  host: HostCapacity,
): ForkCount {
  const useful = Math.max(1, todo);
  if (asked !== undefined) {
    return asked <= useful
      ? { forks: asked, reason: 'as requested' }
      : { forks: useful, reason: `${asked} requested, limited by the attempts that are left` };
  }
  const byCpus = Math.max(1, Math.floor(host.cpus / guest.cpus));
  const byMemory = Math.max(1, Math.floor((host.memoryMiB * MEMORY_SHARE) / guest.memoryMiB));
  const forks = Math.min(byCpus, byMemory, useful);
  const reason =
    forks === useful && useful < Math.min(byCpus, byMemory)
      ? 'no more attempts are left'
      : byCpus <= byMemory
        ? `${host.cpus} ${host.cpus === 1 ? 'core' : 'cores'}, ${guest.cpus} for each guest`
        : `${host.memoryMiB} MiB are free, ${guest.memoryMiB} for each guest`;
  return { forks, reason };
}

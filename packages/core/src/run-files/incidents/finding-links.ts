import { isObject } from '../../util/validation/is-object.js';
import type { AttemptRecord } from '../attempt-record.js';
import type { ExplainedWait } from './explained-waits.js';

type Recorded = AttemptRecord['findings'][number];

/** The numbers of a finding's task, its process, and the owner of the lock that the kernel names. 0 is no task: it is any idle CPU. */
export function pidsOf(finding: Recorded): number[] {
  const { task } = finding;
  const blockedOn = fieldOf(finding, 'blockedOn');
  const owner = isObject(blockedOn) && isObject(blockedOn['owner']) ? blockedOn['owner']['pid'] : undefined;
  return [task?.pid, task?.tgid, owner].filter((pid): pid is number => typeof pid === 'number' && pid > 0);
}

/** Whether a finding's task waits for one of the locks, or owns one. */
export function isIn(finding: Recorded, chain: readonly ExplainedWait[]): boolean {
  const pids = pidsOf(finding);
  return chain.some(({ waiters, owner }) =>
    pids.some((pid) => waiters.includes(pid) || (owner !== undefined && owner !== 'gone' && owner.pid === pid)),
  );
}

/** Whether a stuck task is in the unit at which a poweroff stalls. */
export function isWithin(stall: Recorded, stuck: Recorded): boolean {
  const place = stuck.kind === 'poweroff-stall' ? undefined : textOf(stuck, 'cgroup');
  if (place === undefined || stall.kind !== 'poweroff-stall') return false;
  const [cgroup, unit] = [textOf(stall, 'cgroup'), textOf(stall, 'unit')];
  if (cgroup !== undefined && cgroup !== '/') return place === cgroup || place.startsWith(`${cgroup}/`);
  return unit !== undefined && place.split('/').includes(unit);
}

/** Whether a stuck task is known to be in another unit than the one at which a poweroff stalls. */
export function isOutside(stuck: Recorded, stall: Recorded): boolean {
  return (
    textOf(stall, 'unit') !== undefined &&
    stuck.kind !== 'poweroff-stall' &&
    textOf(stuck, 'cgroup') !== undefined &&
    !isWithin(stall, stuck)
  );
}

/** A field that only some detectors write. */
export function textOf(finding: Recorded, name: string): string | undefined {
  const value = fieldOf(finding, name);
  return typeof value === 'string' ? value : undefined;
}

function fieldOf(finding: Recorded, name: string): unknown {
  return isObject(finding) ? finding[name] : undefined;
}

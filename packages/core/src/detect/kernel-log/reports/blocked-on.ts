import type { BlockedOn } from '../kernel-log-finding.js';
import { decode } from '../lines/decode.js';
import { firstMatch } from './open-report.js';
import type { OpenReport } from './open-report.js';

/** kernel/hung_task.c, debug_show_blocker(), since 6.16. */
const BLOCKED_ON = new RegExp(
  [
    '^INFO: task .{1,64}:\\d{1,10} (?:<\\w{1,8}> )?(?:is )?blocked on an? (?<lock>mutex|semaphore|rw-semaphore)',
    '(?:,? likely (?:owned|last held) by (?:a (?<as>reader|writer) )?task (?<comm>.{1,64}):(?<pid>\\d{1,10})(?: <(?<heldAs>reader|writer)>)?)?',
  ].join(''),
);

/** The lock that a hung task waits for, and its owner, where the kernel says so. */
export function blockedOn(report: OpenReport): BlockedOn | undefined {
  if (report.rule.kind !== 'hung-task') return undefined;
  const { lock, comm, pid, heldAs, as = heldAs } = firstMatch(report, BLOCKED_ON)?.groups ?? {};
  if (lock !== 'mutex' && lock !== 'semaphore' && lock !== 'rw-semaphore') return undefined;
  return {
    lock,
    ...(comm === undefined || pid === undefined ? {} : { owner: { comm: decode(comm), pid: Number(pid) } }),
    ...(as === 'reader' || as === 'writer' ? { heldAs: as } : {}),
  };
}

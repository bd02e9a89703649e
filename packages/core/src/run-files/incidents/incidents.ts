import type { Severity } from '../../detect/finding.js';
import { HANG_KINDS } from '../../detect/hang-kinds.js';
import type { AttemptRecord } from '../attempt-record.js';
import { explainedWaits, type ExplainedWait } from './explained-waits.js';
import { isIn, isOutside, isWithin, pidsOf, textOf } from './finding-links.js';
import { generalTitle } from './general-title.js';
import { joined } from './joined.js';
import { lockRoot, type LockRoot } from './lock-root.js';

type Recorded = AttemptRecord['findings'][number];

/** One failure of an attempt: findings that belong together. */
export interface Incident {
  /** The same in each attempt with this failure, without pids. */
  readonly signature: string;
  /** Its root: the lock and who holds it, where the explanation says so; else the title of `findings[0]`, without pids. */
  readonly title: string;
  /** Of `findings[0]`. */
  readonly kind: string;
  readonly severity: Severity;
  /** Whether the title is the root that the explanation names, and not that of a finding. */
  readonly explained: boolean;
  /** The one that is closest to the cause first, the others by time. */
  readonly findings: readonly [Recorded, ...Recorded[]];
}

/**
 * Puts the findings of an attempt together into incidents. Of a hang, findings belong together that are about the same task or lock; the
 * poweroff that stalls at a unit with a stuck task belongs to them, and so do other reports about these tasks. Any other finding is an
 * incident of its own, with those of the same signature.
 */
export function incidentsOf({
  findings,
  explanation = [],
}: Pick<AttemptRecord, 'findings' | 'explanation'>): Incident[] {
  const hangs = findings.filter(({ kind, severity }) => severity === 'error' && HANG_KINDS.has(kind));
  const chains = joined(explainedWaits(explanation), ({ waiters, owner, address }) => [
    address,
    ...waiters.map(String),
    ...(owner === undefined || owner === 'gone' ? [] : [String(owner.pid)]),
  ]);
  const groups = joinFollowing(joined(hangs, (finding) => keysOf(finding, hangs, chains)));
  const alone: Recorded[] = [];
  for (const finding of findings) {
    if (hangs.includes(finding)) continue;
    const group = groups.find((hang) => belongsTo(finding, hang, chains));
    if (group) group.push(finding);
    else alone.push(finding);
  }
  const roots = chains.map(lockRoot).filter((root) => root !== undefined);
  return [
    ...groups.flatMap((group) => {
      const own = chains.filter((chain) => group.some((finding) => isIn(finding, chain))).map(lockRoot);
      const known = own.find((root) => root !== undefined);
      // Nothing else is stuck: the hang and the explanation are about the same tasks.
      const only = groups.length === 1 && roots.length === 1 ? roots[0] : undefined;
      return incident(group, known ?? only);
    }),
    ...joined(alone, ({ signature }) => [signature]).flatMap((group) => incident(group)),
  ].toSorted((one, other) => startOf(one.findings) - startOf(other.findings));
}

function incident(group: readonly Recorded[], root?: LockRoot): Incident[] {
  const byTime = group.toSorted((one, other) => one.at - other.at);
  const first = byTime.toSorted((one, other) => rank(one) - rank(other))[0];
  if (first === undefined) return [];
  const others = byTime.filter((finding) => finding !== first);
  const { kind, severity, title, signature } = first;
  // A crash before anything was stuck is why the lock is still held.
  const explained = root !== undefined && (HANG_KINDS.has(kind) || first.at > startOf(group.filter(isHang)));
  const named = explained ? root : { title: generalTitle(title, kind), signature };
  return [{ signature: named.signature, title: named.title, kind, severity, explained, findings: [first, ...others] }];
}

const isHang = ({ kind }: Recorded) => HANG_KINDS.has(kind);
const startOf = (findings: readonly Recorded[]) => findings.reduce((least, { at }) => Math.min(least, at), Infinity);

/** How far a finding is from the cause. */
function rank({ kind }: Recorded): number {
  const after = ['d-state', 'silence', 'poweroff-stall', 'kernel-panic'].indexOf(kind);
  if (after !== -1) return after + 2;
  return HANG_KINDS.has(kind) ? 1 : 0;
}

function keysOf(
  finding: Recorded,
  hangs: readonly Recorded[],
  chains: readonly (readonly ExplainedWait[])[],
): string[] {
  return [
    `signature ${finding.signature}`,
    ...[finding, ...hangs.filter((other) => isWithin(finding, other))].flatMap((one) => [
      ...pidsOf(one).map((pid) => `task ${pid}`),
      ...chains.flatMap((chain, place) => (isIn(one, chain) ? [`chain ${place}`] : [])),
    ]),
  ];
}

/** Adds a stalled poweroff, and silence, to the only hang that began before them, unless the stalled unit is known to be another one. */
function joinFollowing(groups: Recorded[][]): Recorded[][] {
  const follows = (group: readonly Recorded[]) =>
    group.every(({ kind }) => kind === 'poweroff-stall' || kind === 'silence');
  const [cause, ...others] = groups.filter((group) => !follows(group));
  if (cause === undefined || others.length > 0) return groups;
  const begun = startOf(cause);
  const joining = groups.filter(
    (group) => follows(group) && group.every((one) => one.at >= begun && !cause.some((stuck) => isOutside(stuck, one))),
  );
  return [[...cause, ...joining.flat()], ...groups.filter((group) => group !== cause && !joining.includes(group))];
}

/** Whether a finding that is no hang is about a task of one, or is the kernel's panic about it. */
function belongsTo(
  finding: Recorded,
  hang: readonly Recorded[],
  chains: readonly (readonly ExplainedWait[])[],
): boolean {
  if (finding.severity !== 'error') return false;
  if (finding.kind === 'kernel-panic') return hang.some(({ title }) => title === textOf(finding, 'after'));
  const pids = pidsOf(finding);
  if (pids.some((pid) => hang.some((one) => pidsOf(one).includes(pid)))) return true;
  return chains.some((chain) => isIn(finding, chain) && hang.some((one) => isIn(one, chain)));
}

import { describe, expect, it } from 'vitest';
import type { AttemptRecord } from '../attempt-record.js';
import { groupIncidents } from './incident-groups.js';
import { incidentsOf } from './incidents.js';

type Recorded = AttemptRecord['findings'][number];

const finding = (kind: string, title: string, at: number, more: object = {}): Recorded => ({
  kind,
  severity: 'error',
  title,
  signature: `${kind} ${title}`,
  at,
  evidence: [],
  times: 1,
  ...more,
});
const dState = (comm: string, pid: number, at: number, more: object = {}) =>
  finding('d-state', `D state: ${comm} (pid ${pid}) in f`, at, {
    signature: `d-state ${comm.replace(/\d+/g, 'N')} f`,
    task: { comm, pid, tgid: pid },
    ...more,
  });
const hung = (pid: number, at: number, where = 'f', more: object = {}) =>
  finding('hung-task', `INFO: task hung in ${where}`, at, { task: { comm: 'x', pid }, ...more });
const stall = (at: number, more: object = {}) =>
  finding('poweroff-stall', 'poweroff stalled: user@0.service', at, {
    unit: 'user@0.service',
    cgroup: '/user.slice/user@0.service',
    ...more,
  });

/** The findings of a hang of npm ci, as a run directory has them. */
const CGROUP = '/user.slice/user@0.service/app.slice/run-1.scope';
const modelCase = [
  finding('d-state', 'D state: iou-sqp-331 (pid 331, thread 342) in io_sq_thread', 25, {
    signature: 'd-state iou-sqp-N io_sq_thread',
    task: { comm: 'iou-sqp-331', pid: 342, tgid: 331 },
    cgroup: CGROUP,
  }),
  hung(342, 27, 'io_sq_thread'),
  dState('npm ci', 331, 46, { cgroup: CGROUP }),
  hung(331, 47, 'io_uring_del_tctx_node'),
  stall(93),
];
const LOCK = 'the mutex at ff26eac702e64840 (struct io_ring_ctx.uring_lock)';
const LEFT = `iou-sqp-331 (342) waits for ${LOCK}, for 20 s; npm ci (331) holds it, and sleeps in epoll_pwait; nothing on its kernel stack refers to the lock, so that it seems to have left it locked.`;
const ITSELF = [
  'Deadlock: npm ci (331) waits for a lock that it holds itself.',
  `npm ci (331) and iou-sqp-331 (342) wait for ${LOCK}, for 34.5 s and less; npm ci (331) holds it, and is blocked itself in io_uring_del_tctx_node.`,
];

const titles = (findings: readonly Recorded[], explanation?: readonly string[]) =>
  incidentsOf({ findings, ...(explanation && { explanation }) }).map(({ title, findings: own }) => [title, own.length]);

describe('incidentsOf', () => {
  it('makes one incident of the hang of npm ci, and names the lock and who holds it', () => {
    expect(incidentsOf({ findings: modelCase, explanation: [LEFT] })).toMatchObject([
      {
        title: 'uring_lock left locked by npm ci',
        signature: 'lock struct io_ring_ctx.uring_lock npm ci',
        kind: 'hung-task',
        explained: true,
      },
    ]);
    expect(titles(modelCase, ITSELF)).toEqual([['uring_lock held by npm ci, which waits for it itself', 5]]);
  });

  it('takes the finding closest to the cause for the title where nothing is explained', () => {
    expect(titles(modelCase)).toEqual([['INFO: task hung in io_sq_thread', 5]]);
    expect(titles([stall(9), dState('iou-sqp-7', 7, 1, { cgroup: CGROUP })])).toEqual([['D state: iou-sqp-N in f', 2]]);
  });

  it('keeps hangs apart that have neither a task nor a lock in common', () => {
    const others = [dState('a', 1, 1, { cgroup: '/system.slice/a.service' }), hung(2, 2, 'g'), stall(9)];
    expect(titles(others)).toHaveLength(3);
  });

  it('does not take a stuck task in another unit for the cause of a stalled poweroff', () => {
    expect(titles([dState('a', 1, 1, { cgroup: '/system.slice/a.service' }), stall(9)])).toHaveLength(2);
    expect(titles([hung(1, 1), stall(9)])).toEqual([['INFO: task hung in f', 2]]);
  });

  it('joins tasks that wait for the same lock, by the explanation or by the kernel', () => {
    const [a, b] = [dState('a', 1, 1), dState('b', 2, 2)];
    expect(
      titles([a, b], ['a (1) and b (2) wait for the page at 10, for 5 s; the kernel does not record who locked it.']),
    ).toEqual([['D state: a in f', 2]]);
    expect(titles([a, hung(5, 3, 'g', { blockedOn: { lock: 'mutex', owner: { comm: 'a', pid: 1 } } })])).toEqual([
      ['INFO: task hung in g', 2],
    ]);
  });

  it('follows the owners to the last lock, and names a deadlock by its tasks', () => {
    const waits = (one: string, address: string, owner: string) =>
      `${one} waits for the mutex at ${address} (struct s.${address}); ${owner} holds it, and is blocked itself.`;
    const [a, b] = [dState('a', 1, 1), dState('b', 2, 2)];
    expect(titles([a, b], [waits('a (1)', 'a1', 'b (2)'), waits('b (2)', 'b2', 'c (3)')])).toEqual([
      ['b2 held by c', 2],
    ]);
    expect(titles([a, b], [waits('a (1)', 'a1', 'b (2)'), waits('b (2)', 'b2', 'a (1)')])).toEqual([
      ['deadlock of a and b', 2],
    ]);
    expect(titles([a], ['a (1) waits for the mutex at a1; a task holds it, and that task no longer exists.'])).toEqual([
      ['mutex held by a task that no longer exists', 1],
    ]);
  });

  it('counts what the kernel reports of a stuck task, and its panic about it, to the hang; all else is for itself', () => {
    const oops = finding('oops', 'BUG: oops in h', 0, { task: { comm: 'a', pid: 1 } });
    const panic = finding('kernel-panic', 'kernel panic: hung_task', 3, { after: 'INFO: task hung in f' });
    expect(
      titles([oops, hung(1, 2), panic], ['x (1) waits for the mutex at a1; a (1) holds it, and has exited.']),
    ).toEqual([['BUG: oops in h', 3]]);
    const warning = finding('warning', 'WARNING in w', 1, { severity: 'warning', task: { comm: 'a', pid: 1 } });
    const scenario = finding('scenario', 'data loss', 4);
    expect(titles([oops, warning, scenario])).toHaveLength(3);
    expect(titles([warning, hung(1, 2), scenario])).toHaveLength(3);
  });
});

describe('groupIncidents', () => {
  it('has attempts with the same root in one group, whatever their symptoms are and whether the root was told', () => {
    const attempts = [
      { index: 1, findings: modelCase, explanation: ITSELF },
      { index: 2, findings: modelCase.slice(0, 1), explanation: [LEFT] },
      { index: 3, findings: modelCase.slice(0, 1) },
      { index: 4, findings: [stall(9)] },
    ];
    const groups = groupIncidents(attempts);
    expect(groups.map(({ title, seen }) => [title, seen.map(({ attempt }) => attempt)])).toEqual([
      ['uring_lock left locked by npm ci', [1, 2, 3]],
      ['poweroff stalled: user@0.service', [4]],
    ]);
    expect(groups[0]?.symptoms.map(({ title, seen }) => [title, seen.length])).toEqual([
      ['D state: iou-sqp-N in io_sq_thread', 3],
      ['INFO: task hung in io_sq_thread', 1],
      ['D state: npm ci in f', 1],
      ['INFO: task hung in io_uring_del_tctx_node', 1],
      ['poweroff stalled: user@0.service', 1],
    ]);
  });
});

import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parseBlockedTasks, sampleOfDump } from './blocked-tasks.js';
import { createDStateDetector } from './d-state-detector.js';
import { describeKillEffect } from './kill-effect.js';
import { THREAD_SAMPLE_SCRIPT } from './thread-sample-script.js';
import { parseThreadSample, type BlockedThread, type ThreadSample } from './thread-sample.js';

const thread = (more: Partial<BlockedThread> = {}): BlockedThread => ({
  pid: 300,
  tid: 308,
  comm: 'iou-sqp-300',
  processComm: 'npm ci',
  kernelThread: false,
  startTime: 9,
  switches: 5,
  killPending: false,
  wchan: 'io_sq_thread',
  ...more,
});
const sample = (...blocked: BlockedThread[]): ThreadSample => ({ seen: 50, complete: true, blocked });

describe('createDStateDetector', () => {
  it('finds a thread that stays in D without having run, once', () => {
    const detector = createDStateDetector({ forMs: 10_000 });
    expect(detector.push(sample(thread()), 0)).toEqual([]);
    expect(detector.push(sample(thread()), 9_999)).toEqual([]);
    expect(detector.push(sample(thread()), 10_000)).toMatchObject([
      { kind: 'd-state', task: { comm: 'iou-sqp-300', pid: 308, tgid: 300 }, stuckMs: 10_000, wchan: 'io_sq_thread' },
    ]);
    expect(detector.push(sample(thread()), 11_000)).toEqual([]);
  });

  it('passes over a thread that was in D at each look by chance: its context switches continue', () => {
    const detector = createDStateDetector({ forMs: 1000 });
    for (let at = 0; at < 20; at += 1) expect(detector.push(sample(thread({ switches: at })), at * 1000)).toEqual([]);
  });

  it('starts again when the thread was away in between, and for another with the same number', () => {
    const detector = createDStateDetector({ forMs: 1000 });
    detector.push(sample(thread()), 0);
    detector.push(sample(), 500);
    expect(detector.push(sample(thread()), 1000)).toEqual([]);
    expect(detector.push(sample(thread({ startTime: 77 })), 2000)).toEqual([]);
  });

  it('is not misled by a sample that is cut short', () => {
    const detector = createDStateDetector({ forMs: 1000 });
    detector.push(sample(thread()), 0);
    detector.push({ ...sample(), complete: false }, 500);
    expect(detector.push(sample(thread()), 1000)).toHaveLength(1);
  });

  it('looks at names of threads and processes, and at kernel threads only when asked', () => {
    const found = (options: object, one: BlockedThread) => {
      const detector = createDStateDetector({ forMs: 0, ...options });
      detector.push(sample(one), 0);
      return detector.push(sample(one), 1).length;
    };
    expect(found({ comm: /npm/ }, thread())).toBe(1);
    expect(found({ comm: /^iou/ }, thread())).toBe(1);
    expect(found({ comm: /tar/ }, thread())).toBe(0);
    expect(found({}, thread({ kernelThread: true }))).toBe(0);
    expect(found({ kernelThreads: true }, thread({ kernelThread: true }))).toBe(1);
  });

  it('names the threads that are in D but not stuck yet, and when they will be', () => {
    const detector = createDStateDetector({ forMs: 10_000 });
    detector.push(sample(thread()), 1000);
    detector.push(sample(thread(), thread({ tid: 309, comm: 'other' })), 4000);
    expect(detector.candidates).toEqual([
      {
        id: 'd-state 308:9',
        kind: 'd-state',
        title: 'D state: iou-sqp-300 (pid 300, thread 308) in io_sq_thread',
        since: 1000,
        dueAt: 11_000,
      },
      expect.objectContaining({ id: 'd-state 309:9', since: 4000, dueAt: 14_000 }),
    ]);
    // One becomes a finding, the other leaves state D: both are no longer pending.
    expect(detector.push(sample(thread()), 11_000)).toHaveLength(1);
    expect(detector.candidates).toEqual([]);
  });

  it('starts a candidate again when its thread has run', () => {
    const detector = createDStateDetector({ forMs: 10_000 });
    detector.push(sample(thread()), 0);
    detector.push(sample(thread({ switches: 6 })), 5000);
    expect(detector.candidates).toMatchObject([{ since: 5000, dueAt: 15_000 }]);
  });

  it('gives the same signature whatever the numbers', () => {
    const signature = (pid: number) => {
      const detector = createDStateDetector({ forMs: 0 });
      const one = thread({ pid, tid: pid + 8, comm: `iou-sqp-${pid}` });
      detector.push(sample(one), 0);
      return detector.push(sample(one), 1)[0]?.signature;
    };
    expect(signature(300)).toBe('d-state iou-sqp-N io_sq_thread');
    expect(signature(1234)).toBe(signature(300));
  });
});

describe('describeKillEffect', () => {
  it.each([
    ['no-effect', sample(thread({ killPending: true })), /changed nothing.*SIGKILL pending/],
    ['zombie-leader', sample(thread({ processState: 'Z' })), /zombie/],
    ['gone', sample(), /is gone/],
    ['unknown', { ...sample(), complete: false }, /cut short/],
  ] as const)('says %s', (outcome, after, summary) => {
    expect(describeKillEffect(sample(thread()), after)).toMatchObject([
      { pid: 300, outcome, summary: expect.stringMatching(summary) },
    ]);
  });
});

describe('the sampling script', () => {
  const SHELLS = [['bash'], ['dash'], ['sh'], ['busybox', 'sh']].filter(
    ([program = '']) => spawnSync(program, ['--help']).error === undefined,
  );

  it.each(SHELLS)('runs in %s and looks at every thread of this host', (shell = '', ...rest) => {
    // No program can be found: builtins are all that a small guest has.
    const { seen, complete, uptime } = parseThreadSample(
      execFileSync(shell, [...rest, '-c', `PATH=/nowhere; ${THREAD_SAMPLE_SCRIPT}`], { encoding: 'utf8' }),
    );
    expect(complete).toBe(true);
    expect(seen).toBeGreaterThan(5);
    expect(uptime).toBeGreaterThan(0);
  });

  it('skips what is around the sample, and broken lines', () => {
    const text =
      'noise\nqmpilot-threads\t1\t12.5\nD\t1\t2\nD\tx\ty\t0\t0\t-\t-\t-\t-\t-\t-\t-\t-\t-\nD\t300\t308\t0\t9\t5\t0 100\tio_sq_thread\tS\t2\t/a\tnpm ci\tiou-sqp-300\t-\nend\t7\nmore\n';
    expect(parseThreadSample(text)).toMatchObject({
      uptime: 12.5,
      seen: 7,
      complete: true,
      blocked: [{ pid: 300, tid: 308, processComm: 'npm ci', killPending: true }],
    });
  });
});

describe('parseBlockedTasks', () => {
  it('reads names with spaces, states and stacks, and leaves out frames the kernel was not sure of', () => {
    const tasks = parseBlockedTasks(
      [
        '[  100.000001] sysrq: Show Blocked State',
        '[  100.000002] task:npm ci          state:D stack:0     pid:888   ppid:880    flags:0x00004006',
        '[  100.000003] Call Trace:',
        '[  100.000004]  <TASK>',
        '[  100.000005]  __schedule+0x34d/0x9e0',
        '[  100.000006]  ? _raw_spin_unlock+0xa/0x30',
        '[  100.000007]  __mutex_lock.constprop.0+0x3a8/0x770',
        '[  100.000008] task:iou-sqp-888     state:D stack:    0 pid:  910 ppid:   880 flags:0x00004000',
        '[  100.000009]  io_sq_thread+0x26e/0x4e0',
      ].join('\r\n'),
    );
    expect(tasks).toMatchObject([
      { comm: 'npm ci', state: 'D', pid: 888, stack: [{ function: '__schedule' }, { function: '__mutex_lock' }] },
      { comm: 'iou-sqp-888', pid: 910, stack: [{ function: 'io_sq_thread' }] },
    ]);
  });

  it('reads what kernels before 5.11 print, and running tasks', () => {
    const tasks = parseBlockedTasks(
      [
        '[  100.000002] npm ci          D    0   888    880 0x00004006',
        '[  100.000005]  __schedule+0x34d/0x9e0',
        '[  100.000006] jbd2/sda1-8     D14568   213      2 0x80000000',
        '[  100.000007] bash            D ffff8800bba2fca8     0  1234   1200 0x00000000',
        '[  100.000008] task:busy            state:R  running task     stack:0     pid:91    tgid:90    ppid:1      flags:0x00004000',
      ].join('\n'),
    );
    expect(tasks).toMatchObject([
      { comm: 'npm ci', state: 'D', pid: 888, kernelThread: false, stack: [{ function: '__schedule' }] },
      { comm: 'jbd2/sda1-8', state: 'D', pid: 213, kernelThread: true },
      { comm: 'bash', state: 'D', pid: 1234, kernelThread: false },
      { comm: 'busy', state: 'R', pid: 91, tgid: 90 },
    ]);
  });

  it('serves as a sample where no shell answers: a task counts as stuck while its stack stays the same', () => {
    const dump = (frame: string) =>
      sampleOfDump(
        parseBlockedTasks(
          `task:npm ci          state:D stack:0     pid:888   ppid:880    flags:0x00004006\n ${frame}+0x1/0x2\n`,
        ),
      );
    const stuckAfter = (...frames: string[]) => {
      const detector = createDStateDetector({ forMs: 10_000 });
      return frames.flatMap((frame, index) => detector.push(dump(frame), index * 10_000));
    };
    expect(stuckAfter('io_sq_thread', 'io_sq_thread')).toMatchObject([
      { title: 'D state: npm ci (pid 888) in io_sq_thread', stuckMs: 10_000 },
    ]);
    expect(stuckAfter('io_sq_thread', 'jbd2_commit', 'io_sq_thread')).toEqual([]);
  });
});

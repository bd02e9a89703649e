import { expect, it } from 'vitest';
import { Btf } from '../btf/btf.js';
import { STATE, syntheticGuest, type SyntheticTask } from '../fixture/synthetic-guest.js';
import { findKernel } from '../kernel.js';
import { StackTexts } from './activity.js';
import { captureGuest, describeCapture } from './explain.js';
import { explainInSentences } from './sentences.js';

const explain = (tasks: readonly SyntheticTask[], layout?: 'before 6.4' | 'since 6.4', minWaitMs = 0) => {
  const guest = syntheticGuest(tasks, layout);
  const identity = findKernel(guest, guest.cpus);
  return describeCapture(captureGuest({ memory: guest, cpus: guest.cpus }, identity), { minWaitMs });
};
const WAITER = { pid: 7, comm: 'waiter', state: STATE.blocked, waitsFor: 0 };

it.each(['before 6.4', 'since 6.4'] as const)(
  'names the owner of a mutex, with symbols as kernels have them %s',
  (layout) => {
    const { kernel, stuck, sentences } = explain([WAITER, { pid: 8, comm: 'holder', holds: 0 }], layout);
    expect(kernel).toBe('6.9.0-synthetic');
    expect(stuck).toMatchObject([
      {
        task: { comm: 'waiter', pid: 7 },
        state: 'blocked',
        waitedMs: 50_000,
        waitsFor: {
          kind: 'mutex',
          name: 'struct ring.lock',
          recorded: 'owner',
          owners: [{ task: { comm: 'holder', pid: 8 }, state: 'sleeping' }],
        },
      },
    ]);
    expect(sentences).toEqual([
      expect.stringMatching(
        /^waiter \(7\) waits for the mutex at ffff88800070\w{4} \(struct ring\.lock\), for 50 s; holder \(8\) holds it, and sleeps/,
      ),
    ]);
  },
);

it('finds a deadlock, also one that is younger than what counts as stuck', () => {
  const { cycles, sentences } = explain(
    [
      { ...WAITER, holds: 1 },
      { pid: 8, comm: 'other', state: STATE.blocked, waitsFor: 1, holds: 0 },
    ],
    undefined,
    60_000,
  );
  expect(cycles).toEqual([
    [
      { comm: 'waiter', pid: 7 },
      { comm: 'other', pid: 8 },
    ],
  ]);
  expect(sentences[0]).toBe('Deadlock: waiter (7) and other (8) wait for each other.');
});

it('names all that wait for one lock, and a task that waits for a lock of its own', () => {
  const many = Array.from({ length: 6 }, (_, index) => ({ ...WAITER, pid: 10 + index }));
  expect(explain([...many, { pid: 8, comm: 'holder', holds: 0 }]).sentences).toEqual([
    expect.stringMatching(/^waiter \(10\), waiter \(11\), waiter \(12\), waiter \(13\) and 2 more wait for the mutex/),
  ]);
  expect(explain([{ ...WAITER, holds: 0 }]).sentences[0]).toBe(
    'Deadlock: waiter (7) waits for a lock that it holds itself.',
  );
});

it('says that nobody is stuck, and leaves out a task that has waited for less', () => {
  expect(explain([{ pid: 8, comm: 'busy' }]).sentences).toEqual(['No task is stuck: 2 tasks were examined.']);
  expect(explain([WAITER, { pid: 8, comm: 'holder', holds: 0 }], undefined, 60_000).stuck).toEqual([]);
});

it('spells out what a task has in its name', () => {
  const { sentences } = explain([
    { ...WAITER, comm: 'a\u001b[2Jb' },
    { pid: 8, comm: 'x\ny', holds: 0 },
  ]);
  expect(sentences.join('')).not.toMatch(/[\u001b\n]/);
});

it('says so when there is no kernel, or the kernel in memory is another', () => {
  const guest = syntheticGuest([]);
  guest.bytes.fill(0, 0x20_0000);
  expect(() => findKernel(guest, guest.cpus)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: "cannot find a Linux kernel in the guest's memory" }),
  );
});

it('takes types from elsewhere for a kernel that has none in memory, and says so without them', () => {
  const guest = syntheticGuest([WAITER, { pid: 8, comm: 'holder', holds: 0 }]);
  guest.bytes.fill(
    0,
    guest.bytes.indexOf(guest.btf.bytes),
    guest.bytes.indexOf(guest.btf.bytes) + guest.btf.bytes.length,
  );
  expect(() => findKernel(guest, guest.cpus)).toThrow(
    expect.objectContaining({ code: 'USAGE', hint: expect.stringContaining('pahole') }),
  );
  const identity = findKernel(guest, guest.cpus, Btf.parse(guest.btf.bytes));
  const { stuck } = describeCapture(captureGuest({ memory: guest, cpus: guest.cpus }, identity), { minWaitMs: 0 });
  expect(stuck[0]?.waitsFor?.owners[0]?.task?.comm).toBe('holder');
});

it('gives what it has when the list of tasks does not end', () => {
  const guest = syntheticGuest([WAITER, { pid: 8, comm: 'holder', holds: 0 }, { pid: 9, comm: 'lost' }]);
  const identity = findKernel(guest, guest.cpus);
  const next = guest.taskAt(2) + guest.btf.offset('task_struct', 'tasks');
  guest.bytes.writeBigUInt64LE(guest.virtual(guest.taskAt(1) + guest.btf.offset('task_struct', 'tasks')), next);
  const { notes, stuck } = describeCapture(captureGuest({ memory: guest, cpus: guest.cpus }, identity), {
    minWaitMs: 0,
  });
  expect(notes[0]).toBe('the lists of tasks are damaged, or too long: some tasks are missing');
  expect(stuck[0]?.waitsFor?.owners[0]?.task?.comm).toBe('holder');
});

it('reads the memory of a kernel with page-table isolation, whatever its CPUs do', () => {
  const guest = syntheticGuest([WAITER, { pid: 8, comm: 'holder', holds: 0 }]);
  const put = (at: number, value: number) => guest.bytes.writeBigUInt64LE(BigInt(value), at);
  const [kernelRoot, userRoot] = [0x6000, 0x7000];
  guest.bytes.copy(guest.bytes, kernelRoot, 0x1000, 0x2000);
  // The tables of user space have the read-only part of the image, and not init_task behind it.
  put(userRoot + 511 * 8, 0x8001);
  put(0x8000 + 510 * 8, 0x9001);
  put(0x9000 + 8 * 8, 0xa001);
  for (let page = 0x200; page < 0x384; page += 1) put(0xa000 + (page - 0x200) * 8, page * 0x1000 + 1);
  const [cpu] = guest.cpus;
  if (!cpu) throw new Error('the guest has no CPU');
  const inKernel = { ...cpu, cr3: BigInt(kernelRoot) };
  const inUserSpace = { ...cpu, cr3: BigInt(userRoot), cpl: 3 };
  for (const before of [[inKernel], [inUserSpace], [inUserSpace, inKernel]]) {
    const identity = findKernel(guest, before);
    for (const cpus of [[inKernel], [inUserSpace], [inUserSpace, inKernel], [inKernel, inUserSpace]]) {
      const { stuck } = describeCapture(captureGuest({ memory: guest, cpus }, identity), { minWaitMs: 0 });
      expect(stuck[0]?.waitsFor?.owners[0]?.task?.comm).toBe('holder');
    }
  }
});

it('says so when the kernel is no longer where it was', () => {
  const guest = syntheticGuest([WAITER]);
  const identity = findKernel(guest, guest.cpus);
  guest.bytes.write('Linux version 6.10', guest.bytes.indexOf('Linux version'));
  expect(() => captureGuest({ memory: guest, cpus: guest.cpus }, identity)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('no longer where it was') }),
  );
});

it('ends when all processes share one long list of threads', () => {
  const guest = syntheticGuest([]);
  const identity = findKernel(guest, guest.cpus);
  const field = (path: string) => guest.btf.offset('task_struct', path);
  const put = (at: number, value: bigint) => guest.bytes.writeBigUInt64LE(value, at);
  const link = (head: number, headAddress: bigint, nodes: readonly number[]) => {
    const next = [...nodes.map((node) => guest.virtual(node)), headAddress];
    for (const [index, at] of [head, ...nodes].entries()) put(at, next[index] ?? 0n);
  };
  const nodes = (from: number, stride: number) => Array.from({ length: 30_000 }, (_, index) => from + index * stride);
  const [processes, threads, signal] = [nodes(0x40_0000, 24), nodes(0x50_0000, 16), 0x5f_0000];
  link(
    guest.taskAt(0) + field('tasks'),
    (identity.symbols.address('init_task') ?? 0n) + BigInt(field('tasks')),
    processes,
  );
  link(signal, guest.virtual(signal), threads);
  // One struct begins within the other: the member is between two nodes.
  for (const node of processes) put(node + field('signal') - field('tasks'), guest.virtual(signal));
  expect(guest.bytes.readBigUInt64LE(processes[1] ?? 0)).toBe(guest.virtual(processes[2] ?? 0));
  const captured = captureGuest({ memory: guest, cpus: guest.cpus }, identity);
  const { notes, tasks } = describeCapture(captured, { minWaitMs: 0 });
  expect(tasks).toBeGreaterThan(30_000);
  expect(notes[0]).toBe('the lists of tasks are damaged, or too long: some tasks are missing');
});

it('keeps as much of the stacks as there is room for, and names the first tasks of a long deadlock', () => {
  const frame = { function: 'f', raw: 'f'.repeat(2 ** 20) };
  const stacks = new StackTexts();
  expect(Array.from({ length: 9 }, () => stacks.keep([frame]).length)).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0]);
  expect(stacks.complete).toBe(false);
  const ring = Array.from({ length: 20 }, (_, pid) => ({ comm: 'task', pid }));
  const stuck = [{ task: { comm: 'task', pid: 0 }, state: 'blocked', stack: [] }] as const;
  expect(explainInSentences(stuck, [ring], 20)[0]).toMatch(
    /^Deadlock: .*task \(7\) waits for task \(8\), and so on: 20 tasks\.$/,
  );
});

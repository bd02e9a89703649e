import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildBtf } from '../../../introspect/fixture/btf-builder.js';
import { STATE, syntheticGuest } from '../../../introspect/fixture/synthetic-guest.js';
import { Mutex } from '../../../util/async/mutex.js';
import type { VmContext } from '../../context.js';
import { explain } from './explain.js';

const REGISTERS = `CPU#0
RAX=0000000000000000 RBP=0000000000000000 RSP=0000000000000000
RIP=ffffffff81000000 RFL=00000046 CPL=0 CR3=0000000000001000 CR4=00000000
`;

/** CR3 of a CPU whose page table was freed meanwhile. */
const LEFT = REGISTERS.replace('CR3=0000000000001000', 'CR3=00000000000ff000');

/** A VM of two tasks whose memory the host does not permit to read; `said` has the commands that QEMU got. */
function syntheticVm({ registers = [REGISTERS] }: { registers?: string[] } = {}) {
  const guest = syntheticGuest([
    { pid: 7, comm: 'waiter', state: STATE.blocked, waitsFor: 0 },
    { pid: 8, comm: 'holder', holds: 0 },
  ]);
  const said: string[] = [];
  let running = true;
  const answers: Record<string, (line: string) => unknown> = {
    'human-monitor-command': (line) =>
      line.startsWith('gpa2hva')
        ? 'No memory is mapped at address'
        : registers.length > 1
          ? registers.shift()
          : registers[0],
    'query-status': () => ({ running }),
    'stop': () => (running = false),
    'cont': () => (running = true),
  };
  const qmp = {
    execute: async (command: string, parameters?: { 'command-line': string }) => {
      if (command === 'stop' || command === 'cont') said.push(command);
      return answers[command]?.(parameters?.['command-line'] ?? '');
    },
    executeUntyped: async (command: string, { filename }: { filename: string }) => {
      said.push(command);
      writeFileSync(filename, guest.bytes);
    },
  };
  const context = {
    turns: new Mutex('the VM synthetic'),
    machine: { qmp, process: { pid: 1 }, spec: { memoryMiB: guest.bytes.length / 2 ** 20 } },
    family: {},
  } as unknown as VmContext;
  return { context, said };
}

it('pauses the guest before QEMU copies its memory, where the host does not permit to read it', async () => {
  const { context, said } = syntheticVm();
  const { stuck, pausedMs } = await explain(context, { minWait: 0 });
  expect(said).toEqual(['stop', 'pmemsave', 'cont']);
  expect(stuck[0]?.waitsFor?.owners[0]?.task?.comm).toBe('holder');
  expect(pausedMs).toBeGreaterThanOrEqual(0);
});

it('reads the registers again, in a pause, when the page table of the first ones is gone', async () => {
  const { context } = syntheticVm({ registers: [LEFT, REGISTERS] });
  const { stuck } = await explain(context, { minWait: 0 });
  expect(stuck[0]?.waitsFor?.owners[0]?.task?.comm).toBe('holder');
});

it('uses type information that was given for this call only', async () => {
  const { context } = syntheticVm();
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-btf-'));
  try {
    const btf = join(dir, 'other.btf');
    writeFileSync(btf, buildBtf({ list_head: [['next', 'u64']] }).bytes);
    const wrong = { code: 'USAGE', message: expect.stringContaining('has no task_struct.tasks') };
    await expect(explain(context, { btf })).rejects.toMatchObject(wrong);
    expect((await explain(context, { minWait: 0 })).stuck).toHaveLength(1);
    await expect(explain(context, { btf })).rejects.toMatchObject(wrong);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

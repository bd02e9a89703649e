import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian } from '@qmpilot/core';
import { explainDump, findVmlinux, readVmcoreinfo } from '@qmpilot/core/vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OVERFLOW } from '../../../support/ring-overflow.js';

/** Prints the mutex that a task waits for, its owner, and the functions of the task's stack, by the debug information. */
const SCRIPT = `
import json, sys
from drgn import Object
from drgn.helpers.linux.pid import find_task
address, pid = int(sys.argv[1], 16), int(sys.argv[2])
mutex = Object(prog, 'struct mutex', address=address)
owner = Object(prog, 'struct task_struct *', value=mutex.owner.counter.value_() & ~7)
print(json.dumps({
    'comm': owner.comm.string_().decode(),
    'pid': owner.pid.value_(),
    'stack': [frame.symbol().name.split('.')[0] for frame in prog.stack_trace(find_task(prog, pid)) if not frame.is_inline],
}))
`;

/** Downloads 280 MB of debug information. */
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')('drgn with the kernel’s debug information', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-drgn-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it(
    'names the same owner of the lock, and the same stack, as explain does without',
    { timeout: 1_800_000 },
    async (context) => {
      const run = (program: string, ...args: string[]) => {
        const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: dir, encoding: 'utf8' });
        return { failure: status === 0 ? undefined : (error?.message ?? stderr), stdout };
      };
      const absent = run('drgn', '--version').failure;
      if (absent !== undefined) return context.skip(`drgn cannot be started: ${absent}`);
      await using vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }), { cache: true });
      const { release } = await vm.kernel();
      const missing = run('apt-get', 'download', `linux-image-${release}-dbg`).failure;
      if (missing !== undefined)
        return context.skip(`the debug information of ${release} cannot be downloaded: ${missing}`);
      expect(run('dpkg-deb', '-x', readdirSync(dir).find((name) => name.endsWith('.deb')) ?? '', '.').failure).toBe(
        undefined,
      );

      await vm.expectOk('cat > /root/overflow.js', { input: OVERFLOW });
      await vm.expectOk('/usr/lib/qmpilot/load-defect');
      await vm.expectOk('UV_USE_IO_URING=1 setsid node /root/overflow.js > /dev/null 2>&1 &');
      await vm.until(
        async () => (await vm.explain()).stuck.some(({ waitsFor }) => waitsFor?.owners[0]?.leftLocked !== undefined),
        { timeout: '5m', awaited: 'node to leave the kernel with the ring locked' },
      );
      const dump = join(dir, 'memory.elf');
      await vm.dump(dump, { paging: true });

      const { stuck } = explainDump(dump);
      const waiter = stuck.find(({ task: { comm } }) => comm.startsWith('iou-sqp-'));
      const address = waiter?.waitsFor?.address ?? '';
      expect(waiter?.waitsFor?.name).toBe('struct io_ring_ctx.uring_lock');
      const { path } = await findVmlinux(readVmcoreinfo(dump), { debugFolder: join(dir, 'usr/lib/debug') });
      const script = join(dir, 'owner.py');
      writeFileSync(script, SCRIPT);
      const drgn = run('drgn', '-c', dump, '-s', path, script, address, String(waiter?.task.pid));
      expect(drgn.failure).toBe(undefined);
      const { comm, pid, stack } = JSON.parse(drgn.stdout);
      expect(waiter?.waitsFor?.owners).toMatchObject([{ task: { comm, pid } }]);
      expect(stack).toEqual(waiter?.stack.map((frame) => frame.function));
    },
  );
});

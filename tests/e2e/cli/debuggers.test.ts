import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StuckTask } from '@qmpilot/core/vm';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { OVERFLOW } from '../../support/ring-overflow.js';
import { qmpilot, qmpilotWith, stopVmsAtEnd } from './command-line.js';

/** Prints the owner of a mutex, and the functions of a task's stack, by the debug information. */
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
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')('debuggers with the debug information of the kernel', () => {
  let dir: string;
  let release = '';
  let vmlinux = '';
  let missing: string | undefined;
  let waiter: StuckTask | undefined;
  const run = (program: string, ...args: string[]) => {
    const { status, stderr, error } = spawnSync(program, args, { cwd: dir, encoding: 'utf8' });
    return status === 0 ? undefined : (error?.message ?? stderr);
  };
  const ok = async (...args: string[]) => {
    const result = await qmpilot(...args);
    expect(result).toMatchObject({ code: 0 });
    return result.stdout;
  };
  stopVmsAtEnd();
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-debuggers-'));
    await ok('boot', '--quiet', '--cache', '--defect', 'io-uring-unlocked-flush', '--name', 'hang');
    release = (await ok('exec', 'hang', '--', 'uname', '-r')).trim();
    missing = run('apt-get', 'download', `linux-image-${release}-dbg`);
    if (missing !== undefined) return;
    expect(run('dpkg-deb', '-x', readdirSync(dir).find((name) => name.endsWith('.deb')) ?? '', '.')).toBeUndefined();
    vmlinux = join(dir, 'usr/lib/debug/boot', `vmlinux-${release}`);
    await qmpilotWith(OVERFLOW, 'exec', '--stdin', 'hang', 'cat > /root/overflow.js');
    await ok('exec', 'hang', '/usr/lib/qmpilot/load-defect');
    await ok('exec', 'hang', 'UV_USE_IO_URING=1 setsid node /root/overflow.js > /dev/null 2>&1 &');
    const left = ({ waitsFor }: StuckTask) => waitsFor?.owners[0]?.leftLocked !== undefined;
    await vi.waitUntil(
      async () => {
        const { stuck }: { stuck: StuckTask[] } = JSON.parse(await ok('explain', 'hang', '--json'));
        waiter = stuck.find((task) => task.task.comm.startsWith('iou-sqp-') && left(task));
        return waiter;
      },
      { timeout: 300_000 },
    );
  }, 1_800_000);
  beforeEach((context) => {
    if (missing !== undefined) context.skip(`the debug information of ${release} cannot be downloaded: ${missing}`);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('drgn reads the same owner of the lock, and the same stack, as explain does without', async () => {
    const script = join(dir, 'owner.py');
    writeFileSync(script, SCRIPT);
    const { address = '', name, owners } = waiter?.waitsFor ?? {};
    expect(name).toBe('struct io_ring_ctx.uring_lock');
    const args = ['--', script, address, String(waiter?.task.pid)];
    const { comm, pid, stack } = JSON.parse(await ok('drgn', 'hang', '--vmlinux', vmlinux, ...args));
    expect(owners).toMatchObject([{ task: { comm, pid } }]);
    expect(stack).toEqual(waiter?.stack.map((frame) => frame.function));
  });

  it('crash opens a dump, and gdb the VM, which runs on afterwards', async () => {
    const dump = join(dir, 'memory.elf');
    await ok('dump', 'hang', dump);
    const commands = join(dir, 'commands.txt');
    writeFileSync(commands, 'sys\nquit\n');
    expect(await ok('crash', dump, '--vmlinux', vmlinux, '--', '-s', '-i', commands)).toMatch(
      new RegExp(`RELEASE: ${release.replaceAll('.', String.raw`\.`)}`),
    );
    const print = ['-batch', '-ex', 'print init_uts_ns.name.release'];
    expect(await ok('gdb', 'hang', '--vmlinux', vmlinux, '--', ...print)).toContain(`"${release}"`);
    await ok('exec', 'hang', 'true');
  });
});

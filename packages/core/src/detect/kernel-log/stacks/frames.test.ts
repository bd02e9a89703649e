import { expect, test } from 'vitest';
import { functionName, parseFrame, parseProgramCounter } from './frames.js';

test.each([
  [' io_sq_thread+0x26e/0x4e0', { function: 'io_sq_thread' }],
  [' ? cpuusage_read+0x10/0x10', { function: 'cpuusage_read', uncertain: true }],
  [' __mutex_lock.constprop.0+0x399/0x700', { function: '__mutex_lock' }],
  [' xfs_buf_iowait+0x22/0xc0 [xfs]', { function: 'xfs_buf_iowait', module: 'xfs' }],
  [' xfs_buf_iowait+0x22/0xc0 [xfs 0123456789abcdef]', { function: 'xfs_buf_iowait', module: 'xfs' }],
  [' vfs_read+0x1/0x2 fs/read_write.c:468', { function: 'vfs_read' }],
  ['io_sq_thread (io_uring/sqpoll.c:240 (discriminator 1) io_uring/sqpoll.c:300) ', { function: 'io_sq_thread' }],
  ['? cpuusage_read (kernel/sched/cpuacct.c:200) ', { function: 'cpuusage_read', uncertain: true }],
  [
    'xfs_buf_iowait (./include/linux/completion.h:1 fs/xfs/xfs_buf.c:1) xfs',
    { function: 'xfs_buf_iowait', module: 'xfs' },
  ],
  [' memset include/linux/string.h:391 [inline]', { function: 'memset' }],
  [' [<ffffffff815114a9>] ? io_schedule+0x99/0x120', { function: 'io_schedule', uncertain: true }],
  ['[<ffffffff80002016>] do_one_initcall+0x4a/0x1f2', { function: 'do_one_initcall' }],
  ['[c000000006123c50] [c00000000012a490] xmon_walk+0x10/0x60 (unreliable)', { function: 'xmon_walk' }],
  ['[<c0a01234>] (mmc_rescan) from [<c0141234>] (process_one_work+0x24/0x400)', { function: 'mmc_rescan' }],
  [' [<ffffffff8819a1c3>] :demo:demo_busy+0x23/0x70', { function: 'demo_busy' }],
  [' mmc_rescan from process_one_work+0x24/0x400', { function: 'mmc_rescan' }],
])('the frame %j', (text, expected) => {
  expect(parseFrame(text)).toMatchObject(expected);
});

test.each([
  'RIP: 0010:demo+0x16/0x20',
  'RIP: 0010:[<ffffffffa0001234>]  [<ffffffffa0001234>] demo+0x14/0x40 [demo]',
  'RIP: 0010:demo (drivers/demo.c:12 (discriminator 2)) demo',
  'EIP: demo+0x16/0x20',
  'pc : demo+0x18/0x40 [demo]',
  'PC is at demo+0x18/0x40',
  'pc is at demo+0x14/0x60',
  'PC: [<0012a4b6>] demo+0xe/0x3a',
  'TPC: <demo+0x4/0x40>',
  'epc : demo+0xc/0x18 [demo]',
  'NIP [c00000000012a4b0] demo+0x30/0x60',
  'Krnl PSW : 0704c00180000000 000003ff80123456 (demo+0x30/0x60 [demo])',
])('the program counter in %j', (text) => {
  expect(parseProgramCounter(text)?.function).toBe('demo');
});

test('a user address is not a frame', () => {
  expect(parseProgramCounter('RIP: 0033:0x7f5d54a1f829')).toBeUndefined();
  expect(parseFrame('RSP: 002b:00007ffc4b3c8e08 EFLAGS: 00000246')).toBeUndefined();
});

test('what the compiler appended to a name is not part of the function', () => {
  expect(['a.isra.0', 'a.part.0.cold', 'a.llvm.123', 'a.constprop.0.isra.1', 'a'].map(functionName)).toEqual([
    'a',
    'a',
    'a',
    'a',
    'a',
  ]);
});

test('a BPF program is the same failure whatever its code hashes to', () => {
  expect(functionName('bpf_prog_6deef7357e7b4530')).toBe('bpf_prog_ADDR');
  expect(functionName('bpf_prog_6deef7357e7b4530_F')).toBe('bpf_prog_ADDR_F');
  expect(functionName('bpf_prog_load')).toBe('bpf_prog_load');
});

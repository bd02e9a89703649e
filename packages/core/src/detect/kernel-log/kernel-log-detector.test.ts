import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { KernelLogFinding } from './kernel-log-finding.js';
import { scan } from './scan.js';

const FIXTURES = fileURLToPath(new URL('../../../../../tests/fixtures/', import.meta.url));
const read = (name: string) => readFileSync(FIXTURES + name);
const summary = (findings: readonly KernelLogFinding[]) => findings.map(({ kind, title }) => `${kind}: ${title}`);

test.each([
  ['BUG: key ffff888021d8a000 has not been registered!', 'BUG: key ADDR has not been registered!'],
  [
    'WARNING: stack going in the wrong direction? at do_ipt_it+0x1/0x2',
    'WARNING: stack going in the wrong direction? in do_ipt_it',
  ],
  ["WARNING: can't access registers at entry_it+0x49/0xbe", "WARNING: can't access registers in entry_it"],
  ['WARNING: stack recursion on stack type 2', 'WARNING: stack recursion'],
  [
    'e1000 0000:00:03.0 eth0: NETDEV WATCHDOG: CPU: 0: transmit queue 0 timed out 5056 ms',
    'NETDEV WATCHDOG: eth0: transmit queue timed out',
  ],
])('one line that counts behind the kernel’s prefix: %s', (text, title) => {
  expect(scan(`[   12.345678] ${text}\n`).map((finding) => finding.title)).toEqual([title]);
});

test('a stall on a CPU that idles is whole without a backtrace', () => {
  const lines = [
    'rcu: INFO: rcu_sched detected stalls on CPUs/tasks:',
    '\t1-...!: (0 ticks this GP) idle=2c4/0/0x0',
    '\t(detected by 0, t=6002 jiffies, g=3641, q=2)',
  ];
  const stall = (...more: string[]) => scan([...lines, ...more].map((line) => `[   12.345678] ${line}\n`).join(''));
  expect(
    stall('Sending NMI from CPU 0 to CPUs 1:', 'NMI backtrace for cpu 1 skipped: idling at native_safe_halt+0xe/0x10'),
  ).toMatchObject([{ cut: false, cpu: 1 }]);
  expect(stall()).toMatchObject([{ cut: true }]);
});

test('what a pane draws beside the kernel’s words is no part of them', () => {
  const lines = [
    'WARNING: CPU: 1 PID: 5 at net/a.c:1 inner_fn net/a.c:1 [inline]',
    'WARNING: CPU: 1 PID: 5 at net/a.c:1 outer_fn+0x1/0x2 net/a.c:1',
    'CPU: 1 PID: 5 Comm: demo Not tainted 6.5.0 #0',
    'RIP: 0010:outer_fn+0x1/0x2 net/a.c:1',
  ];
  const drawn = (all: readonly string[]) =>
    scan(all.map((line, index) => `│ root@guest:~# │[   12.34567${index}] ${line.padEnd(90)}│ top\n`).join(''));
  expect(drawn(lines)).toMatchObject([{ title: 'WARNING in outer_fn', task: { comm: 'demo', pid: 5 } }]);
  expect(drawn(['Kernel panic - not syncing: sysrq triggered crash'])).toMatchObject([
    { title: 'kernel panic: sysrq triggered crash' },
  ]);
});

test('a title is text, whatever the bytes', () => {
  expect(scan("[    1.000000] Kernel panic - not syncing: no init in '/größe'\n")).toMatchObject([
    { title: "kernel panic: no init in '/größe'" },
  ]);
});

test('what the kernel says before a header is part of the evidence', () => {
  const lines = [
    '[   12.000001][   T10] ------------[ cut here ]------------',
    '[   12.000002][   T22] usb 1-1: other',
    '[   12.000003][   T10] clock is not enabled',
    '[   12.000004][   T10] WARNING: CPU: 0 PID: 10 at drivers/clk/clk.c:1000 demo+0x1/0x2',
  ];
  expect(scan(lines.join('\n'))[0]?.evidence).toEqual([lines[0], lines[2], lines[3]]);
  const late = [
    ...lines.slice(0, 1),
    ...Array.from({ length: 20 }, () => '[   12.000002][   T22] usb 1-1: other'),
    ...lines.slice(3),
  ];
  expect(scan(late.join('\n'))[0]?.evidence).toEqual([lines[3]]);
});

test('a hung task has no CPU, whichever CPU the watchdog ran on', () => {
  const lines = [
    'INFO: task demo:9 blocked for more than 120 seconds.',
    '      Not tainted 6.1.0 #1',
    'Call Trace:',
    ' <TASK>',
    ' demo+0x1/0x2',
    ' </TASK>',
    'NMI backtrace for cpu 1',
    'CPU: 1 PID: 30 Comm: khungtaskd Not tainted 6.1.0 #1',
    'Call Trace:',
    ' watchdog+0x1/0x2',
  ];
  expect(scan(lines.map((line) => `[  242.000001] ${line}\n`).join(''))).toMatchObject([{ task: { pid: 9 } }]);
  expect(scan(lines.map((line) => `[  242.000001] ${line}\n`).join(''))[0]).not.toHaveProperty('cpu');
});

test('words that a command was told to print are not the kernel’s, where nothing else can tell', () => {
  const words = 'BUG: KASAN: use-after-free in demo+0x1/0x2';
  expect(scan(`root@guest:~# echo ${words}\n${words}\nroot@guest:~# `)).toEqual([]);
  expect(scan(`${words}\n`)).toHaveLength(1);
});

describe('what only a register or a later line says', () => {
  const report = (lines: readonly string[]) => scan(lines.map((line) => `[   12.345678] ${line}\n`).join(''))[0];
  const arm64 = (...abort: string[]) =>
    report([
      'Unable to handle kernel paging request at virtual address ffff800012345678',
      'Mem abort info:',
      ...abort,
      'Internal error: Oops: 96000047 [#1] SMP',
      'pc : demo+0x1/0x2',
    ]);

  test.each([
    [
      'arm64 write',
      arm64(
        '  ESR = 0x96000047',
        '  EC = 0x25: DABT (current EL), IL = 32 bits',
        'Data abort info:',
        '  CM = 0, WnR = 1',
      ),
      'write',
    ],
    [
      'arm64 read',
      arm64(
        '  EC = 0x25: DABT (current EL), IL = 32 bits',
        'Data abort info:',
        '  CM = 0, WnR = 0, TnD = 0, TagAccess = 0',
      ),
      'read',
    ],
    ['arm64 call', arm64('  EC = 0x21: IABT (current EL), IL = 32 bits'), 'execute'],
    [
      'riscv write',
      report([
        'Unable to handle kernel paging request at virtual address ffffffd800000000',
        'Oops [#1]',
        'epc : demo+0x12/0x40',
        'status: 0000000200000120 badaddr: ffffffd800000000 cause: 000000000000000f',
      ]),
      'write',
    ],
    [
      'KFENCE',
      report([
        'BUG: KFENCE: use-after-free read in demo+0x1/0x2',
        '',
        'Use-after-free read at 0xffff8881a1b2c3d4 (in kfence-#141):',
        ' demo+0x1/0x2',
      ]),
      'read',
    ],
    [
      'KFENCE free',
      report([
        'BUG: KFENCE: invalid free in demo+0x1/0x2',
        '',
        'Invalid free of 0xffff8881a1b2c3d4 (in kfence-#3):',
        ' demo+0x1/0x2',
      ]),
      'free',
    ],
    [
      'nothing said',
      report([
        'Unable to handle kernel paging request at virtual address ffffffd800000000',
        'Oops [#1]',
        'epc : demo+0x12/0x40',
      ]),
      'unknown',
    ],
  ])('%s', (_, finding, kind) => {
    expect(finding?.access).toMatchObject({ kind, address: expect.stringMatching(/^ffff/) });
  });

  test('the CPU of a stall is the one that stalls, and the task of a lock report is in its second line', () => {
    const stall = report([
      'rcu: INFO: rcu_sched self-detected stall on CPU',
      'rcu: \t3-....: (5249 ticks this GP) idle=14f/1/0x4000000000000002',
      'Task dump for CPU 3:',
      'Call trace:',
      ' demo+0x1/0x2',
    ]);
    expect(stall?.cpu).toBe(3);
    const held = report([
      'WARNING: lock held when returning to user space!',
      '5.19.0 #0 Not tainted',
      '------------',
      'demo:1/55 is leaving the kernel with locks still held!',
    ]);
    expect(held?.task).toEqual({ comm: 'demo:1', pid: 55 });
  });
});

test('lines of a log that a program shows are not the kernel’s', () => {
  const line = '[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000010';
  for (const shown of [`"${line}" was expected`, `+ echo '${line}'`, `logs/boot.txt:12:${line}`, `dmesg.txt:${line}`])
    expect(scan(`[    1.000000] up\n${shown}\n`), shown).toEqual([]);
  for (const drawn of [`root@guest:~# ${line}`, `│ ${line}`, `login: ${line}`])
    expect(scan(`[    1.000000] up\n${drawn}\n`), drawn).toHaveLength(1);
});

test.each([
  'sysrq: Resetting',
  'sysrq: SysRq : Resetting',
  "reboot: Restarting system with command 'kexec'",
  'kexec_core: Starting new kernel',
])('a boot behind %s was asked for', (asked) => {
  const boot =
    '[    0.000000] Linux version 6.1.0 (a@b) (gcc) #1 SMP\n' + '[    1.500000] usb 1-1: new device\n'.repeat(40);
  expect(scan(`${boot}[   60.000000] ${asked}\n${boot}`)).toEqual([]);
  expect(summary(scan(`${boot}[   60.000000] usb 1-1: gone\n${boot}`))).toEqual(['reboot: unexpected kernel reboot']);
});

describe('console captures', () => {
  test('a healthy boot and poweroff find nothing', () => {
    expect(scan(read('console/healthy.raw'))).toEqual([]);
  });

  test.each(['user-stall', 'scope-stall'])('%s: both tasks hang in the right function', (name) => {
    const found = scan(read(`console/${name}.raw`));
    expect(new Set(summary(found))).toEqual(
      new Set(['hung-task: INFO: task hung in __do_sys_io_uring_enter', 'hung-task: INFO: task hung in io_sq_thread']),
    );
    expect(new Set(found.map(({ signature }) => signature)).size).toBe(2);
    const thread = found.find(({ function: name }) => name === 'io_sq_thread');
    expect(thread?.task?.comm).toMatch(/^iou-sqp-\d+$/);
    expect(thread?.stack?.map((frame) => frame.function)).toContain('__mutex_lock');
    expect(thread?.kernelTime).toBeGreaterThan(30);
  });
});

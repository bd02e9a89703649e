import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createKernelLogDetector, scan, showsTimestamps } from './kernel-log-detector.js';
import type { KernelLogFinding } from './kernel-log-finding.js';

const FIXTURES = fileURLToPath(new URL('../../../../../tests/fixtures/', import.meta.url));
const read = (name: string) => readFileSync(FIXTURES + name);
const EXPECTED: Record<string, object[]> = JSON.parse(read('kernel-log/expected.json').toString());
const summary = (findings: readonly KernelLogFinding[]) => findings.map(({ kind, title }) => `${kind}: ${title}`);

function feed(log: Uint8Array, cuts: readonly number[]): KernelLogFinding[] {
  const detector = createKernelLogDetector();
  const ends = [...new Set([...cuts.map((cut) => cut % (log.length + 1)), log.length])].sort((a, b) => a - b);
  const found = ends.flatMap((end, index) => detector.push(log.subarray(ends[index - 1] ?? 0, end), 0));
  return [...found, ...detector.end(0)];
}

describe('names every failure as the field does, and nothing else', () => {
  test.each(Object.keys(EXPECTED))('%s', (name) => {
    const found = scan(read(`kernel-log/${name}`));
    const expected = EXPECTED[name] ?? [];
    expect(summary(found)).toEqual(summary(expected as KernelLogFinding[]));
    found.forEach((finding, index) => {
      expect(finding).toMatchObject({ cut: false, interleaved: false, ...expected[index] });
      expect(finding.evidence.length).toBeGreaterThan(0);
    });
  });

  test('every fixture has its expected findings written down', () => {
    const files = ['written', 'captured'].flatMap((folder) =>
      readdirSync(`${FIXTURES}kernel-log/${folder}`).map((file) => `${folder}/${file}`),
    );
    expect(Object.keys(EXPECTED).sort()).toEqual(files.sort());
  });
});

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

  test('the CPU of a stall is the one that stalls, and the task of a lock report stands in its second line', () => {
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

describe('the stream', () => {
  test('cuts between chunks make no difference', () => {
    const names = [
      'written/interleaved-tags.log',
      'written/tmux.log',
      'written/hung-then-panic.log',
      'captured/lockup.raw',
    ];
    const logs = names.map((name) => read(`kernel-log/${name}`));
    fc.assert(
      fc.property(fc.constantFrom(...logs), fc.array(fc.nat(), { maxLength: 20 }), (log, cuts) => {
        expect(feed(log, cuts)).toEqual(feed(log, []));
      }),
    );
  });

  test('byte by byte is the same as whole', () => {
    const log = read('kernel-log/written/kasan-new.log');
    expect(
      feed(
        log,
        Array.from(log, (_, index) => index),
      ),
    ).toEqual(feed(log, []));
  });

  test('text and its bytes are the same, a character cut in two included', () => {
    const text = read('kernel-log/written/hung-quiet-console.log').toString().replaceAll('npm ci', 'npm 🐧');
    const detector = createKernelLogDetector();
    const middle = text.indexOf('🐧') + 1;
    const found = [
      ...detector.push(text.slice(0, middle), 0),
      ...detector.push(text.slice(middle), 0),
      ...detector.end(0),
    ];
    expect(found).toEqual(feed(Buffer.from(text), []));
    expect(found[0]?.task?.comm).toBe('npm 🐧');
  });

  test('a report without a stack is told when the console falls quiet', () => {
    const detector = createKernelLogDetector();
    const log = read('kernel-log/written/hung-quiet-console.log').toString().split('\n').slice(0, 3).join('\r\n');
    expect(detector.push(`${log}\r\n`, 1000)).toEqual([]);
    expect(detector.tick(2900)).toEqual([]);
    expect(summary(detector.tick(3000))).toEqual(['hung-task: INFO: task hung']);
    expect(detector.end(3000)).toEqual([]);
  });

  test('a report without a stack is told as soon as the next one begins', () => {
    const detector = createKernelLogDetector();
    const lines = read('kernel-log/written/hung-quiet-console.log').toString().split('\n');
    expect(detector.push(`${lines.slice(0, 3).join('\n')}\n`, 0)).toEqual([]);
    const [first] = detector.push(`${lines[3]}\n`, 7);
    expect(first?.task).toEqual({ comm: 'npm ci', pid: 888 });
  });

  test('a detector that begins in the middle of a log takes a program for the kernel only where nobody told it of timestamps', () => {
    const typed =
      'root@guest:~# echo x\nBUG: kernel NULL pointer dereference, address: 0000000000000010\nroot@guest:~# ';
    const found = (timestamped: boolean) => {
      const detector = createKernelLogDetector({ timestamped });
      return summary([...detector.push(typed, 0), ...detector.end(0)]);
    };
    expect(showsTimestamps(['host login: root', '[   12.345678] random: crng init done'])).toBe(true);
    expect(showsTimestamps(['host login: root', '[1] 12345'])).toBe(false);
    expect(found(true)).toEqual([]);
    expect(found(false)).toHaveLength(1);
  });

  test('at is the clock of whoever feeds it', () => {
    const detector = createKernelLogDetector();
    detector.push('[    1.000000] unregister_netdevice: waiting for lo to become', 40);
    expect(detector.push(' free. Usage count = 2\n', 50)[0]?.at).toBe(50);
  });
});

describe('cause and consequence', () => {
  test('the panic that follows belongs to the oops', () => {
    const [finding] = scan(read('kernel-log/captured/poops.raw'));
    expect(finding).toMatchObject({ kind: 'null-deref', panic: 'Fatal exception', severity: 'error' });
  });

  test('a warning that made the kernel panic is an error', () => {
    const log = read('kernel-log/written/warn-old.log')
      .toString()
      .replace('---[ end trace', 'Kernel panic - not syncing: panic_on_warn set ...\n[   30.000900] ---[ end trace');
    expect(scan(log)).toMatchObject([
      { title: 'WARNING in inet_sock_destruct', severity: 'error', panic: 'panic_on_warn set' },
    ]);
  });

  test('what a dying task does on its way out is not a failure of its own', () => {
    const log =
      read('kernel-log/written/bug-arm64.log').toString() +
      [
        'BUG: sleeping function called from invalid context at include/linux/percpu-rwsem.h:49',
        'CPU: 2 PID: 120 Comm: sh Tainted: G      D    O       6.1.0 #1',
        'Call trace:',
        ' exit_signals+0x12/0x30',
      ]
        .map((line) => `[   14.100000] ${line}\n`)
        .join('');
    expect(summary(scan(log))).toEqual(['bug: kernel BUG in demo_bug']);
  });

  test('what comes after a fatal failure says so', () => {
    const log =
      read('kernel-log/written/bug-arm64.log').toString() + read('kernel-log/written/hung-io-wait.log').toString();
    expect(scan(log)[1]).toMatchObject({ kind: 'hung-task', after: 'kernel BUG in demo_bug' });
  });
});

describe('what came before explains a panic only where it can', () => {
  const at = (seconds: number, lines: readonly string[]) =>
    lines.map((line, index) => `[${(seconds + index / 1e4).toFixed(6).padStart(12)}] ${line}\n`).join('');
  const bug = (pid: number) => [
    'kernel BUG at fs/demo.c:1!',
    'invalid opcode: 0000 [#1] SMP',
    `CPU: 0 PID: ${pid} Comm: demo Not tainted 6.1.0 #1`,
    'RIP: 0010:demo+0x1/0x2',
    'Call Trace:',
    ' <TASK>',
    ' caller+0x1/0x2',
    ' </TASK>',
  ];
  const warning = [
    'WARNING: CPU: 0 PID: 9 at a.c:1 demo_warn+0x1/0x2',
    'CPU: 0 PID: 9 Comm: demo Not tainted 6.1.0 #1',
    'Call Trace:',
    ' <TASK>',
    ' caller+0x1/0x2',
    ' </TASK>',
    '---[ end trace 0000000000000000 ]---',
  ];
  const kasan = [
    'BUG: KASAN: slab-use-after-free in demo_kasan+0x1/0x2',
    'Read of size 8 at addr ffff888011d08b98 by task demo/9',
    'CPU: 0 PID: 9 Comm: demo Not tainted 6.1.0 #1',
    'Call Trace:',
    ' <TASK>',
    ' demo_kasan+0x1/0x2',
    ' </TASK>',
  ];
  const panic = (message: string) => [
    `Kernel panic - not syncing: ${message}`,
    'CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1',
    'Call Trace:',
    ' <TASK>',
    ' panic+0x1/0x2',
    ' </TASK>',
  ];
  const killed = 'Attempted to kill init! exitcode=0x0000000b';
  const KILLED = 'kernel-panic: kernel panic: Attempted to kill init!';

  test.each([
    ['init dies of its own oops', at(5, bug(1)) + at(5.01, panic(killed)), ['bug: kernel BUG in demo']],
    ['init dies of its own oops, later', at(5, bug(1)) + at(25, panic(killed)), ['bug: kernel BUG in demo']],
    [
      'init dies after the oops of another',
      at(5, bug(77)) + at(5.01, panic(killed)),
      ['bug: kernel BUG in demo', KILLED],
    ],
    ['init dies after a warning', at(5, warning) + at(25, panic(killed)), ['warning: WARNING in demo_warn', KILLED]],
    [
      'a fatal exception right after a warning',
      at(5, warning) + at(5.1, panic('Fatal exception')),
      ['warning: WARNING in demo_warn'],
    ],
    [
      'a fatal exception long after a warning',
      at(5, warning) + at(500, panic('Fatal exception')),
      ['warning: WARNING in demo_warn', 'kernel-panic: kernel panic: Fatal exception'],
    ],
    [
      'a fatal exception long after an oops',
      at(5, bug(77)) + at(500, panic('Fatal exception')),
      ['bug: kernel BUG in demo'],
    ],
    [
      'an NMI that nobody knows',
      at(5, warning) + at(6, panic('NMI: Not continuing')),
      ['warning: WARNING in demo_warn', 'kernel-panic: kernel panic: NMI: Not continuing'],
    ],
    [
      'a fault long after a sanitizer’s report',
      at(5, kasan) + at(25, ['general protection fault: 0000 [#1] SMP', 'RIP: 0010:demo+0x1/0x2']),
      [
        'kasan: KASAN: slab-use-after-free Read in demo_kasan',
        'general-protection-fault: general protection fault in demo',
      ],
    ],
  ])('%s', (_, log, expected) => {
    expect(summary(scan(log))).toEqual(expected);
  });

  test('a lesser line long after a report comes after it', () => {
    expect(
      summary(scan(at(5, kasan) + at(25, ['JBD2: Detected IO errors while flushing file data on vda1-8']))),
    ).toEqual(['kasan: KASAN: slab-use-after-free Read in demo_kasan', 'filesystem-error: file system error: JBD2']);
  });

  test('a header within the stack of another report marks both, where no caller tag tells them apart', () => {
    const cutIn = [...kasan.slice(0, 6), ...warning.slice(0, 3), ' demo_release+0x1/0x2', ...warning.slice(3)];
    expect(scan(at(5, cutIn))).toMatchObject([
      { kind: 'kasan', interleaved: true },
      { kind: 'warning', interleaved: true },
    ]);
    expect(scan(at(5, [...kasan, ...warning]))).toMatchObject([{ interleaved: false }, { interleaved: false }]);
  });

  test('frames before its own stack are another report’s, where nothing marks where a stack ends', () => {
    const plain = (lines: readonly string[]) => lines.filter((line) => !line.includes('TASK'));
    const [first, second] = [plain(kasan), plain(warning)];
    expect(scan(at(5, [...first, second[0] ?? '', ' demo_release+0x1/0x2', ...second.slice(1)]))[1]).toMatchObject({
      kind: 'warning',
      interleaved: true,
    });
    expect(scan(at(5, [...first, ...second]))).toMatchObject([{ interleaved: false }, { interleaved: false }]);
  });

  test('two tasks in one report do not speak for each other', () => {
    const second = 'CPU: 1 PID: 10 Comm: other Not tainted 6.1.0 #1';
    expect(scan(at(5, [...kasan.slice(0, 3), second, ...kasan.slice(3)]))).toMatchObject([{ interleaved: true }]);
  });
});

describe('signatures', () => {
  test('the same failure at another time, in another process, on another CPU counts as the same', () => {
    const log = read('kernel-log/written/kasan-new.log').toString();
    const again = log.replaceAll('[   11.', '[  911.').replaceAll('101', '777').replaceAll('CPU: 0', 'CPU: 3');
    expect(scan(again)[0]?.signature).toBe(scan(log)[0]?.signature);
  });

  test('hangs without a stack are told apart by the task, whatever number is in its name', () => {
    const signatures = scan(read('kernel-log/written/hung-quiet-console.log')).map(({ signature }) => signature);
    expect(signatures).toEqual(['hung-task: INFO: task hung (npm ci)', 'hung-task: INFO: task hung (iou-sqp-N)']);
  });
});

describe('hostile input', () => {
  const WORDS = [
    'BUG: ',
    'KASAN: ',
    'INFO: task ',
    ' blocked for more than ',
    'Call Trace:\n',
    ' f+0x1/0x2\n',
    '[    1.000000] ',
    '[',
    ']',
    '<',
    '\u001b[',
    '\u001b]',
    '\r',
    '\n',
    'WARNING: CPU: 1 PID: 2 at ',
    'Kernel panic - not syncing: ',
    ' at: ',
    'rcu: ',
    'from ',
    '+0x',
    'a',
    ' ',
    '1',
    ':',
    '/',
    '-',
    '(',
    ')',
    '\u0000',
    'é',
  ];

  test('anything at all is taken, in bounded time a line, with bounded findings', () => {
    const line = fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS), fc.integer({ min: 1, max: 2000 }));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (parts) => {
        const log = parts.map(([head, unit, count]) => head + unit.repeat(count)).join('');
        const started = performance.now();
        for (const finding of scan(log)) expect(JSON.stringify(finding).length).toBeLessThan(200_000);
        expect(performance.now() - started).toBeLessThan(500);
      }),
      { numRuns: 400 },
    );
  });

  test('arbitrary bytes do no harm', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 4000 }), (bytes) => void scan(bytes)));
  });

  test('a report that never ends is told in parts, with bounded evidence', () => {
    const detector = createKernelLogDetector();
    const frame = '[    1.000000]  endless+0x1/0x2\n'.repeat(1000);
    let found = detector.push('[    1.000000] kernel BUG at a.c:1!\n[    1.000000] Call Trace:\n', 0);
    for (let i = 0; i < 50; i++) found = [...found, ...detector.push(frame, 0)];
    expect(found).toHaveLength(1);
    expect(found[0]?.evidence.length).toBeLessThanOrEqual(160);
    expect(found[0]?.stack?.length).toBeLessThanOrEqual(120);
  });

  test('memory stays flat over an endless stream without a line end', () => {
    const detector = createKernelLogDetector();
    const chunk = Buffer.alloc(1 << 20, '#BUG: ');
    detector.push(chunk, 0);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 64; i++) detector.push(chunk, i);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(32e6);
  });
});

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { KernelLogFinding } from './kernel-log-finding.js';
import { scan } from './scan.js';

const FIXTURES = fileURLToPath(new URL('../../../../../tests/fixtures/', import.meta.url));
const read = (name: string) => readFileSync(FIXTURES + name);
const summary = (findings: readonly KernelLogFinding[]) => findings.map(({ kind, title }) => `${kind}: ${title}`);

describe('cause and consequence', () => {
  test('the panic that follows belongs to the oops', () => {
    const [finding] = scan(read('kernel-log/captured/poops.log'));
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

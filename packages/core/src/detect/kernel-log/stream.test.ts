import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createKernelLogDetector, showsTimestamps } from './kernel-log-detector.js';
import type { KernelLogFinding } from './kernel-log-finding.js';
import { scan } from './scan.js';

const FIXTURES = fileURLToPath(new URL('../../../../../tests/fixtures/', import.meta.url));
const read = (name: string) => readFileSync(FIXTURES + name);
const summary = (findings: readonly KernelLogFinding[]) => findings.map(({ kind, title }) => `${kind}: ${title}`);

function feed(log: Uint8Array, cuts: readonly number[]): KernelLogFinding[] {
  const detector = createKernelLogDetector();
  const ends = [...new Set([...cuts.map((cut) => cut % (log.length + 1)), log.length])].sort((a, b) => a - b);
  const found = ends.flatMap((end, index) => detector.push(log.subarray(ends[index - 1] ?? 0, end), 0));
  return [...found, ...detector.end(0)];
}

describe('the stream', () => {
  test('cuts between chunks make no difference', () => {
    const names = [
      'written/interleaved-tags.log',
      'written/tmux.log',
      'written/hung-then-panic.log',
      'captured/lockup.log',
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

  test('at is the clock of the caller', () => {
    const detector = createKernelLogDetector();
    detector.push('[    1.000000] unregister_netdevice: waiting for lo to become', 40);
    expect(detector.push(' free. Usage count = 2\n', 50)[0]?.at).toBe(50);
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
        const started = process.cpuUsage();
        for (const finding of scan(log)) expect(JSON.stringify(finding).length).toBeLessThan(200_000);
        expect(process.cpuUsage(started).user).toBeLessThan(500_000);
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

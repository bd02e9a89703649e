import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';

/** Lines that mean something to the parsers, with marks that end, cut or hide them, and noise. */
const WORDS = [
  '[    1.234567] ',
  '<3>[   12.000001] ',
  '[    1.234567][  T123] ',
  'INFO: task npm ci:888 blocked for more than 122 seconds.',
  'BUG: kernel NULL pointer dereference, address: 0000000000000008',
  'Kernel panic - not syncing: Fatal exception',
  '---[ end trace 0000000000000000 ]---',
  'Call Trace:',
  ' <TASK>',
  ' ? __mutex_lock+0x1a/0x2b0',
  ' schedule+0x5e/0xd0',
  'RIP: 0010:f+0x1/0x2',
  'CPU: 1 PID: 12 Comm: ',
  'watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a b:12]',
  'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
  'Out of memory: Killed process 12 (a b)',
  'task:npm ci state:D stack:0 pid:888 ppid:1 flags:0x0',
  '\u001b[K[   \u001b[0;31m*\u001b[0m     ] A stop job is running for User Manager for UID 0 (14s / 2min)',
  '(2min 10s / 4min)',
  'Job session-1.scope/stop running (52s / 1min 30s)',
  'Reached target ',
  'poweroff.target',
  'systemd-shutdown[1]: Sending SIGKILL to remaining processes...',
  'Waiting for process: 12 (a b)',
  'reboot: Power down',
  'Powering off.',
  '\r',
  '\n',
  '\r\n',
  '\u001bM',
  '\u001b[',
  '\u001b[2;5H',
  '\u001b]0;t',
  '\u0007',
  '\0',
  '\ud800',
  'ß€😀',
  '(',
  '[',
  '9'.repeat(400),
  ' '.repeat(300),
  '\u001b[2147483647b',
  '\u001b[2147483647S',
  '\u001b[99999;99999H',
  '\u001b]8;;http://x\u0007',
  '\u001bP',
  '\u001bc',
  '\u001b[?1049h',
  '\u001b[2J',
  '\u001b[r',
  '\u009b',
  '\u0301',
];
const words = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(...WORDS) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
    ),
    { maxLength: 60 },
  )
  .map((all) => all.join(''));

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url));
/** Consoles that were captured: what the parsers are made for, and words of their own do not come near. */
const captured = ['console', 'kernel-log/captured', 'kernel-log/written'].flatMap((folder) =>
  readdirSync(join(FIXTURES, folder), { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.json'))
    .map((entry) => readFileSync(join(FIXTURES, folder, entry.name), 'latin1').split('\n')),
);
/** Some lines of one of them, of which a few are gone, come twice, are cut off, or have something else in them. */
const damagedLog = fc
  .tuple(
    fc.constantFrom(...captured),
    fc.nat(),
    fc.integer({ min: 1, max: 60 }),
    fc.array(
      fc.tuple(fc.nat(), fc.nat(200), fc.constantFrom('drop', 'twice', 'cut', 'put'), fc.constantFrom(...WORDS)),
      { maxLength: 4 },
    ),
  )
  .map(([all, from, many, changes]) => {
    const lines = all.slice(from % all.length, (from % all.length) + many);
    for (const [which, at, change, word] of changes) {
      const index = which % Math.max(1, lines.length);
      const line = lines[index] ?? '';
      if (change === 'put') lines[index] = line.slice(0, at) + word + line.slice(at);
      else
        lines.splice(index, 1, ...(change === 'drop' ? [] : change === 'twice' ? [line, line] : [line.slice(0, at)]));
    }
    return lines.join('\n');
  });
export const guestText = fc.oneof(words, damagedLog);
export const cuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 });

export function pieces(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const result = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    result.push(bytes.subarray(at, at + size));
    at += size;
  }
  return result;
}

import { describe, expect, it } from 'vitest';
import { createShutdownDetector, type ShutdownDetector } from './shutdown-detector.js';
import { capture, fed, shown, WISH } from './shutdown.fixture.js';
import { judgeShutdown, type ShutdownWish } from './verdict.js';

describe('judgeShutdown', () => {
  const judge = (wanted: ShutdownWish, act: (detector: ShutdownDetector) => void, at = 5000) => {
    const detector = createShutdownDetector();
    detector.requested(0);
    act(detector);
    return judgeShutdown(detector.report(at), { wanted, slowAfterMs: 60_000 });
  };
  const event =
    (name: string, data: Record<string, unknown>, at = 3000) =>
    (detector: ShutdownDetector) =>
      detector.qmpEvent(name, data, at);
  const prints =
    (text: string, at = 3000) =>
    (detector: ShutdownDetector) =>
      detector.console(`[   50.100000] ${text}\n`, at);

  it.each([
    [
      'poweroff',
      event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' }),
      'clean',
      'the machine powered off within 3s',
    ],
    [
      'poweroff',
      event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' }, 61_000),
      'slow',
      'the machine powered off, but after 1min 1s',
    ],
    ['reboot', event('RESET', { guest: true, reason: 'guest-reset' }), 'clean', 'the machine rebooted within 3s'],
    ['reboot', prints('reboot: Restarting system'), 'clean', 'the machine rebooted within 3s'],
    ['halt', prints('reboot: System halted'), 'clean', 'the system halted within 3s'],
    [
      'poweroff',
      prints('reboot: System halted'),
      'stalled',
      'the system halted after 3s, although a poweroff was requested',
    ],
    [
      'poweroff',
      event('RESET', { guest: true }),
      'rebooted',
      'the machine rebooted after 3s, although a poweroff was requested',
    ],
    [
      'poweroff',
      prints('Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009'),
      'panicked',
      'the kernel panicked 3s after the poweroff was requested: Attempted to kill init! exitcode=0x00000009',
    ],
    [
      'poweroff',
      event('GUEST_PANICKED', { action: 'run' }),
      'panicked',
      'the kernel panicked 3s after the poweroff was requested',
    ],
    [
      'poweroff',
      event('SHUTDOWN', { guest: false, reason: 'host-signal' }),
      'killed',
      'QEMU ended (host-signal) in phase requested, before the guest had come to an end',
    ],
    [
      'poweroff',
      (detector: ShutdownDetector) => detector.qemuExited(3000),
      'killed',
      'QEMU ended in phase requested, before the guest had come to an end',
    ],
    ['poweroff', () => {}, 'stalled', 'after 5s no shutdown activity was seen'],
    [
      'poweroff',
      (detector: ShutdownDetector) => detector.refused('Failed to connect to bus'),
      'stalled',
      'after 5s the guest has refused: Failed to connect to bus',
    ],
    [
      'reboot',
      prints('systemd-shutdown[1]: Waiting for process: 300 (npm ci)'),
      'stalled',
      'after 5s systemd-shutdown still waits for npm ci (300)',
    ],
    [
      'poweroff',
      prints('systemd-shutdown[1]: Unmounting file systems.'),
      'stalled',
      'after 5s systemd-shutdown still unmounts and detaches file systems and devices',
    ],
    [
      'poweroff',
      prints('systemd-shutdown[1]: Powering off.'),
      'stalled',
      'after 5s the last step of the kernel has not ended',
    ],
  ] as const)('%s: %s', (wanted, act, outcome, reason) => {
    expect(judge(wanted, act)).toEqual({ outcome, reason });
  });

  it('names the job that systemd waits for and how its limit grew, for the real stall', () => {
    const bytes = capture('user-stall');
    const report = fed(bytes.subarray(0, bytes.lastIndexOf('A stop job is running') + 120)).report(1e6);
    expect(judgeShutdown(report, WISH)).toMatchObject({
      outcome: 'stalled',
      reason: expect.stringMatching(
        /systemd still waits for user@0\.service \(User Manager for UID 0\) in user-0\.slice, \S+ ?\S* of 4min, the limit grew from 2min/,
      ),
    });
  });

  it('makes a small timeline of it: the verdict, then when each phase began', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    prints('systemd-shutdown[1]: Syncing filesystems and block devices.', 1200)(detector);
    prints('systemd-shutdown[1]: Unmounting file systems.', 1900)(detector);
    prints('systemd-shutdown[1]: Powering off.', 2000)(detector);
    event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' }, 2100)(detector);
    detector.qemuExited(2200);
    expect(shown(detector, 9000).split('\n')).toEqual([
      'poweroff: clean: the machine powered off within 2s',
      '      0.0 s  requested   the shutdown was requested',
      '      1.2 s  final-kill  the remaining processes are killed',
      '      1.9 s  unmount     file systems are unmounted',
      '      2.0 s  power-off   the kernel is asked to power off',
      '      2.1 s  off         the machine is off',
      '      2.2 s  gone        QEMU is gone',
      '  QMP sent SHUTDOWN (guest-shutdown), after 2s in total',
    ]);
  });
});

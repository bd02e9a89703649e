import { describe, expect, it } from 'vitest';
import { formatShutdown } from './format-shutdown.js';
import { phases, said, WISH } from './shutdown.fixture.js';
import { judgeShutdown } from './verdict.js';

describe('createShutdownDetector on other inits than systemd', () => {
  it.each([
    [
      'busybox',
      [
        'The system is going down NOW!',
        'Sent SIGTERM to all processes',
        'Sent SIGKILL to all processes',
        'Requesting system poweroff',
      ],
      ['final-kill', 'power-off'],
    ],
    [
      'OpenRC',
      [
        ' * Stopping sshd ...',
        ' * Terminating remaining processes ...',
        ' * Killing remaining processes ...',
        ' * Remounting remaining filesystems read-only ...',
      ],
      ['units', 'final-kill', 'unmount'],
    ],
    [
      'runit',
      [
        '- runit: enter stage: /etc/runit/3',
        '=> Waiting for services to stop...',
        '=> Sending TERM signal to processes...',
        '=> Unmounting filesystems, disabling swap...',
      ],
      ['units', 'final-kill', 'unmount'],
    ],
    [
      'sysvinit',
      [
        'INIT: Switching to runlevel: 0',
        '[ ok ] Asking all remaining processes to terminate...done.',
        '[ ok ] Unmounting local filesystems...done.',
        '[info] Will now halt.',
      ],
      ['units', 'final-kill', 'unmount', 'power-off'],
    ],
  ])('follows a shutdown by %s, and does not speak of systemd then', (_, lines, expected) => {
    expect(phases(...lines)).toEqual(['requested', ...expected]);
    for (let count = 1; count <= lines.length; count += 1) {
      const report = said(...lines.slice(0, count));
      expect(judgeShutdown(report, WISH).reason).not.toMatch(/systemd/);
      expect(formatShutdown({ ...report, ...judgeShutdown(report, WISH), wanted: 'poweroff' })).not.toMatch(/systemd/);
    }
  });
});

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatShutdown } from './format-shutdown.js';
import { createShutdownDetector, type ShutdownDetector } from './shutdown-detector.js';
import { judgeShutdown, type ShutdownWish } from './verdict.js';

const capture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../../../../tests/fixtures/console/${name}.raw`, import.meta.url)));

const WISH = { wanted: 'poweroff', slowAfterMs: 60_000 } as const;

function shown(detector: ShutdownDetector, at: number): string {
  const report = detector.report(at);
  return formatShutdown({ ...report, ...judgeShutdown(report, WISH), wanted: 'poweroff' });
}

/** The captures begin with a boot; nobody says when the poweroff was asked for. */
function fed(bytes: Uint8Array, size = bytes.length): ShutdownDetector {
  const detector = createShutdownDetector();
  for (let at = 0; at < bytes.length; at += size) detector.console(bytes.subarray(at, at + size), 1);
  return detector;
}

/** Asked for at 0, the lines at 2 s. */
function fedLines(...lines: string[]): ShutdownDetector {
  const detector = createShutdownDetector();
  detector.requested(0);
  for (const line of lines) detector.console(`${line}\r\n`, 2000);
  return detector;
}

describe('createShutdownDetector on captures of real guests', () => {
  it('follows a healthy poweroff to its end', () => {
    const report = fed(capture('healthy')).report(1e6);
    expect(report.end).toBe('off');
    expect(judgeShutdown(report, WISH)).toEqual({ outcome: 'clean', reason: 'the machine powered off within 0s' });
    expect(report.phases.map(({ phase }) => phase)).toEqual(
      expect.arrayContaining(['units', 'final-kill', 'unmount', 'off']),
    );
  });

  it('names the user manager that stalls, its slice, time and growing limits', () => {
    const bytes = capture('user-stall');
    const finding = fed(bytes.subarray(0, bytes.lastIndexOf('A stop job is running') + 120)).finding(1e6);
    expect(finding).toMatchObject({
      kind: 'poweroff-stall',
      phase: 'units',
      unit: 'user@0.service',
      slice: 'user-0.slice',
      shutdownEvent: false,
    });
    expect(finding.elapsed).toBeGreaterThan(10_000);
    expect(finding.limits?.length).toBeGreaterThan(1);
  });

  it('goes on to what systemd-shutdown waits for, when the units have ended at last', () => {
    expect(fed(capture('user-stall')).finding(1e6)).toMatchObject({ phase: 'final-kill', task: { comm: 'node' } });
  });

  it('names the session scope that stalls', () => {
    expect(fed(capture('scope-stall')).finding(1e6)).toMatchObject({
      phase: 'units',
      unit: expect.stringMatching(/^session-\w+\.scope$/),
    });
  });

  it('says the same however the bytes are cut', () => {
    for (const name of ['user-stall', 'scope-stall', 'healthy', 'fsfreeze-stall']) {
      const bytes = capture(name).subarray(-60_000);
      const whole = fed(bytes).finding(1e6);
      for (const size of [1, 7, 64, 1000]) expect(fed(bytes, size).finding(1e6)).toEqual(whole);
    }
  });
});

describe('createShutdownDetector', () => {
  it('names the stop jobs that take longer than usual, and when their limit is over', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    detector.console('[  *** ] A stop job is running for Demo (2s / 1min 30s)\r\n', 3000);
    expect(detector.candidates(3000)).toEqual([]);
    detector.console('[  *** ] A stop job is running for Demo (7s / 1min 30s)\r\n', 8000);
    const demo = { id: 'poweroff-stall Demo', kind: 'poweroff-stall', title: 'poweroff stalled: Demo', since: 1000 };
    expect(detector.candidates(9000)).toEqual([{ ...demo, dueAt: 91_000 }]);
    detector.console('[  *** ] A stop job is running for Demo (8s / no limit)\r\n', 9000);
    expect(detector.candidates(9000)).toEqual([demo]);
    detector.console('[  OK  ] Stopped Demo.\r\n', 10_000);
    expect(detector.candidates(10_000)).toEqual([]);
  });

  it('learns of a job from systemctl alone, with slice, control group and limit', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    detector.units(
      'Id=user@0.service\nDescription=User Manager for UID 0\nSlice=user-0.slice\nControlGroup=/user.slice/user-0.slice/user@0.service\nTimeoutStopUSec=2min\n',
    );
    detector.jobs('107 user@0.service stop running\n12 poweroff.target start waiting\n', 1000);
    detector.jobs('107 user@0.service stop running\n', 43_000);
    expect(detector.finding(43_000)).toMatchObject({
      unit: 'user@0.service',
      description: 'User Manager for UID 0',
      slice: 'user-0.slice',
      elapsed: 42_000,
      limit: 120_000,
      cgroup: '/user.slice/user-0.slice/user@0.service',
    });
    detector.processesOf('user@0.service', [{ pid: 300, comm: 'npm ci' }]);
    expect(shown(detector, 43_000)).toContain(
      'waits for stop user@0.service (User Manager for UID 0) in user-0.slice, 42s of 2min; left in it: npm ci (300)',
    );
  });

  it('keeps every limit of a job in the order seen', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    for (const times of ['14s / 2min', '1min 59s / 2min', '2min 10s / 4min'])
      detector.console(`[ ***  ] A stop job is running for User Manager for UID 0 (${times})\r\n`, 1);
    expect(detector.finding(2)).toMatchObject({
      unit: 'user@0.service',
      elapsed: 130_000,
      limit: 240_000,
      limits: [120_000, 240_000],
    });
  });

  const said = (...chunks: string[]) => {
    const detector = createShutdownDetector();
    detector.requested(0);
    chunks.forEach((chunk, index) => detector.console(`${chunk}\r\n`, (index + 1) * 1000));
    return detector.report((chunks.length + 1) * 1000);
  };
  const phases = (...chunks: string[]) => said(...chunks).phases.map(({ phase }) => phase);

  it.each([
    ['A stop job is running for /mnt/data', '[FAILED] Failed unmounting /mnt/data.'],
    ['A stop job is running for /mnt/data', '[  OK  ] Unmounted /mnt/data.'],
    ['Job mnt-data.mount/stop running', '[  OK  ] Unmounted mnt-data.mount - /mnt/data.'],
    ['A stop job is running for /dev/vdb', '[  OK  ] Deactivated swap /dev/vdb.'],
    ['A stop job is running for Demo', '[ TIME ] Timed out stopping Demo.'],
    ['A stop job is running for Demo', '[  OK  ] Stopped (with error) Demo.'],
    ['A stop job is running for Demo Socket', '[  OK  ] Closed Demo Socket.'],
  ])('takes the end of a job of any unit for its end: %s, %s', (job, end) => {
    const drawn = `[*     ] ${job} (9s / 1min 30s)`;
    expect(said(drawn).jobs).toMatchObject([{ ended: false, elapsed: 9000 }]);
    expect(said(drawn, end).jobs).toMatchObject([{ ended: true }]);
  });

  it('knows a shortened description again on a console without UTF-8', () => {
    const { jobs } = said(
      '[*     ] A stop job is running for User Man...for UID 1000 (9s / 2min)',
      '[*     ] A stop job is running for User Manager for UID 1000 (10s / 2min)',
    );
    expect(jobs).toMatchObject([
      { unit: 'user@1000.service', description: 'User Manager for UID 1000', elapsed: 10_000 },
    ]);
  });

  it('takes the last list of what systemd-shutdown waits for, names in parentheses included', () => {
    const first = 'systemd-shutdown[1]: Waiting for process: 812 ((sd-pam)), 900 (npm ci)';
    expect(said(first).processes).toEqual([
      { pid: 812, comm: '(sd-pam)' },
      { pid: 900, comm: 'npm ci' },
    ]);
    expect(said(first, 'systemd-shutdown[1]: Waiting for process: 900 (npm ci)').processes).toEqual([
      { pid: 900, comm: 'npm ci' },
    ]);
    const killed = said(
      first,
      'systemd-shutdown[1]: Sending SIGKILL to PID 812 ((sd-pam)).',
      'systemd-shutdown[1]: Sending SIGKILL to PID 900 (npm ci).',
    );
    expect(killed.processes).toHaveLength(2);
  });

  it.each([
    'Final Step',
    'Late Shutdown Services',
    'Unmount All Filesystems',
    'umount.target - Unmount All Filesystems',
  ])('knows the target %s, older spellings included', (target) => {
    expect(phases(`[  OK  ] Reached target ${target}.`)).toEqual(['requested', 'units']);
  });

  it.each(['Shutdown', 'Power-Off', 'Reboot', 'System Power Off', 'poweroff.target - System Power Off'])(
    'takes the target %s, older spellings included, for the end of all units',
    (target) => {
      const report = fedLines(`[  OK  ] Reached target ${target}.`).report(5000);
      expect(report.phases.map(({ phase }) => phase)).toEqual(['requested', 'units-stopped']);
      expect(judgeShutdown(report, WISH).reason).toContain('all units are stopped, but what comes after them');
    },
  );

  it.each([
    [
      'older systemd',
      ['systemd-shutdown[1]: Waiting for process: demo-fs, sleep'],
      'final-kill',
      'waits for demo-fs, sleep',
    ],
    [
      'dracut',
      [
        'systemd-shutdown[1]: Waiting for process: 2093 (demo)',
        'dracut Warning: Killing all remaining processes',
        'dracut Warning: Unmounted /oldroot.',
        'Rebooting.',
      ],
      'power-off',
      'the last step of the kernel',
    ],
    [
      'runit',
      ['- runit: enter stage: /etc/runit/3', '- runit: leave stage: /etc/runit/3', '- runit: power off...'],
      'power-off',
      'the last step of the kernel',
    ],
    [
      'OpenRC',
      [' * Stopping sshd ... [ ok ]', ' * Unmounting filesystems', ' *   Unmounting /mnt/nfs ...'],
      'unmount',
      'unmounted: /mnt/nfs',
    ],
    [
      'the last word of systemd-shutdown on a quiet console',
      ['systemd-shutdown[1]: Failed to finalize file systems, loop devices, DM devices, ignoring.'],
      'unmount',
      'still unmounts and detaches',
    ],
    [
      'a mount that does not end',
      ["systemd-shutdown[1]: Unmounting '/srv/nfs' - timed out, issuing SIGKILL to PID 842."],
      'unmount',
      'devices: /srv/nfs',
    ],
    [
      'a device that does not go',
      [
        'systemd-shutdown[1]: Unmounting file systems.',
        'systemd-shutdown[1]: Could not detach DM /dev/dm-8: Device or resource busy',
      ],
      'unmount',
      'devices: /dev/dm-8',
    ],
    [
      'a session whose processes are killed',
      [
        'systemd[1]: session-1.scope: Stopping timed out. Killing.',
        'systemd[1]: session-1.scope: Killing process 312 (bash) with signal SIGKILL.',
      ],
      'units',
      'still waits for session-1.scope, 0s of no limit; left in it: bash (312)',
    ],
  ])('names what a shutdown waits for: %s', (_, lines, phase, reason) => {
    const report = fedLines(...lines).report(5000);
    expect(report.phase).toBe(phase);
    expect(judgeShutdown(report, WISH).reason).toContain(reason);
  });

  it('gives processes without a number as they are named', () => {
    const detector = fedLines('systemd-shutdown[1]: Waiting for process: demo-fs, sleep');
    expect(detector.report(5000).processes).toEqual([{ comm: 'demo-fs' }, { comm: 'sleep' }]);
    expect(detector.finding(5000)).not.toHaveProperty('task');
  });

  describe('a machine that stays on after the last words of its kernel', () => {
    it.each(['reboot: Power down', 'reboot: Restarting system'])('is stalled: %s', (words) => {
      const detector = fedLines(`[   58.417887] ${words}`);
      expect(judgeShutdown(detector.report(180_000), WISH)).toEqual({
        outcome: 'stalled',
        reason: 'after 3min the last step of the kernel has not ended',
      });
      expect(detector.report(180_000)).toMatchObject({ end: 'running', phase: 'power-off', elapsed: 180_000 });
      expect(detector.finding(180_000)).toMatchObject({
        phase: 'power-off',
        title: 'poweroff stalled: the last step of the kernel',
      });
    });

    it('is not, when QMP or the end of QEMU follows', () => {
      const event = fedLines('[   58.417887] reboot: Power down');
      event.qmpEvent('SHUTDOWN', { guest: true, reason: 'guest-shutdown' }, 3000);
      const exit = fedLines('[   58.417887] reboot: Power down');
      exit.qemuExited(3000);
      for (const detector of [event, exit]) expect(judgeShutdown(detector.report(180_000), WISH).outcome).toBe('clean');
    });
  });

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

  it.each([
    ['[   50.100000] reboot: Power off not available: System halted instead', 'halted'],
    ['[   50.100000] kexec_core: Starting new kernel', 'rebooted'],
    ["[   50.100000] reboot: Restarting system with command 'bootloader'", 'rebooted'],
    ['[   50.100000][    T1] reboot: Power down', 'off'],
  ])('knows the kernel’s last word %s', (line, end) => {
    expect(said(line).end).toBe(end);
  });

  it('knows what systemd-shutdown waits for', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    detector.console(
      '[   50.1] systemd-shutdown[1]: Waiting for process: 300 (npm ci)\n'.replace('50.1', '   50.100000'),
      9,
    );
    expect(detector.finding(9)).toMatchObject({ phase: 'final-kill', task: { pid: 300, comm: 'npm ci' } });
  });

  it.each([
    ['guest-shutdown', 'off'],
    ['guest-reset', 'rebooted'],
    ['guest-panic', 'panicked'],
  ] as const)('takes the SHUTDOWN event with reason %s for %s', (reason, end) => {
    const detector = createShutdownDetector();
    detector.requested(0);
    detector.qmpEvent('SHUTDOWN', { guest: true, reason }, 5);
    expect(detector.report(9)).toMatchObject({ end, shutdownEvent: true, shutdownReason: reason, elapsed: 5 });
  });

  it('does not take words of a running system for a shutdown that nobody asked for', () => {
    const detector = createShutdownDetector();
    detector.console(
      '         Stopping foo.service - Foo...\n[  OK  ] Stopped foo.service - Foo.\nThe system is going down for lunch\n',
      1,
    );
    expect(detector.report(2)).toMatchObject({ end: 'running', phases: [] });
  });

  it('survives any bytes, and shows no control character', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string(),
            fc.constantFrom(
              '\u001b[31m',
              'A stop job is running for ',
              ' (3s / no limit)',
              '\r\n',
              'Stopped ',
              'systemd-shutdown[1]: ',
            ),
          ),
        ),
        (parts) => {
          const detector = createShutdownDetector();
          detector.requested(0);
          for (const part of parts) detector.console(part, 1);
          expect(shown(detector, 2).replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        },
      ),
    );
  });
});

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
      'the system halted after 3s, although a poweroff was asked for',
    ],
    [
      'poweroff',
      event('RESET', { guest: true }),
      'rebooted',
      'the machine rebooted after 3s, although a poweroff was asked for',
    ],
    [
      'poweroff',
      prints('Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009'),
      'panicked',
      'the kernel panicked 3s after the poweroff was asked for: Attempted to kill init! exitcode=0x00000009',
    ],
    [
      'poweroff',
      event('GUEST_PANICKED', { action: 'run' }),
      'panicked',
      'the kernel panicked 3s after the poweroff was asked for',
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
      '      0.0 s  requested   asked for',
      '      1.2 s  final-kill  what is left is killed',
      '      1.9 s  unmount     file systems are unmounted',
      '      2.0 s  power-off   the kernel is told to end',
      '      2.1 s  off         the machine is off',
      '      2.2 s  gone        QEMU is gone',
      '  QMP sent SHUTDOWN (guest-shutdown), after 2s in all',
    ]);
  });
});

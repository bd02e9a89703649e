import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createShutdownDetector } from './shutdown-detector.js';
import { fedLines, phases, said, shown, WISH } from './shutdown.fixture.js';
import { judgeShutdown } from './verdict.js';

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

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatShutdown } from './format-shutdown.js';
import { createShutdownDetector, type ShutdownDetector } from './shutdown-detector.js';

const capture = (name: string) => readFileSync(fileURLToPath(new URL(`../../../../../tests/fixtures/console/${name}.raw`, import.meta.url)));

/** The captures begin with a boot; nobody says when the poweroff was asked for. */
function fed(bytes: Uint8Array, size = bytes.length): ShutdownDetector {
  const detector = createShutdownDetector();
  for (let at = 0; at < bytes.length; at += size) detector.console(bytes.subarray(at, at + size), 1);
  return detector;
}

describe('createShutdownDetector on captures of real guests', () => {
  it('follows a healthy poweroff to its end', () => {
    const report = fed(capture('healthy')).report(1e6);
    expect(report.outcome).toBe('off');
    expect(report.phases.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['units', 'final-kill', 'unmount', 'off']));
  });

  it('names the user manager that stalls, its slice, time and growing limits', () => {
    const bytes = capture('user-stall');
    const finding = fed(bytes.subarray(0, bytes.lastIndexOf('A stop job is running') + 120)).finding(1e6);
    expect(finding).toMatchObject({ kind: 'poweroff-stall', phase: 'units', unit: 'user@0.service', slice: 'user-0.slice', shutdownEvent: false });
    expect(finding.elapsed).toBeGreaterThan(10_000);
    expect(finding.limits?.length).toBeGreaterThan(1);
  });

  it('goes on to what systemd-shutdown waits for, when the units have ended at last', () => {
    expect(fed(capture('user-stall')).finding(1e6)).toMatchObject({ phase: 'final-kill', task: { comm: 'node' } });
  });

  it('names the session scope that stalls', () => {
    expect(fed(capture('scope-stall')).finding(1e6)).toMatchObject({ phase: 'units', unit: expect.stringMatching(/^session-\w+\.scope$/) });
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
  it('learns of a job from systemctl alone, with slice, control group and limit', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    detector.units('Id=user@0.service\nDescription=User Manager for UID 0\nSlice=user-0.slice\nControlGroup=/user.slice/user-0.slice/user@0.service\nTimeoutStopUSec=2min\n');
    detector.jobs('107 user@0.service stop running\n12 poweroff.target start waiting\n', 1000);
    detector.jobs('107 user@0.service stop running\n', 43_000);
    expect(detector.finding(43_000)).toMatchObject({
      unit: 'user@0.service', description: 'User Manager for UID 0', slice: 'user-0.slice', elapsed: 42_000, limit: 120_000,
      cgroup: '/user.slice/user-0.slice/user@0.service',
    });
    expect(formatShutdown(detector.report(43_000))).toContain('stop user@0.service (42s of 2min) in user-0.slice, User Manager for UID 0');
  });

  it('keeps every limit of a job in the order seen', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    for (const times of ['14s / 2min', '1min 59s / 2min', '2min 10s / 4min']) detector.console(`[ ***  ] A stop job is running for User Manager for UID 0 (${times})\r\n`, 1);
    expect(detector.finding(2)).toMatchObject({ unit: 'user@0.service', elapsed: 130_000, limit: 240_000, limits: [120_000, 240_000] });
  });

  it('knows what systemd-shutdown waits for', () => {
    const detector = createShutdownDetector();
    detector.requested(0);
    detector.console('[   50.1] systemd-shutdown[1]: Waiting for process: 300 (npm ci)\n'.replace('50.1', '   50.100000'), 9);
    expect(detector.finding(9)).toMatchObject({ phase: 'final-kill', task: { pid: 300, comm: 'npm ci' } });
  });

  it.each([
    ['guest-shutdown', 'off'],
    ['guest-reset', 'rebooted'],
  ] as const)('takes the SHUTDOWN event with reason %s for %s', (reason, outcome) => {
    const detector = createShutdownDetector();
    detector.requested(0);
    detector.qmpEvent('SHUTDOWN', { guest: true, reason }, 5);
    expect(detector.report(9)).toMatchObject({ outcome, shutdownEvent: true, shutdownReason: reason, elapsed: 5 });
  });

  it('does not take words of a running system for a shutdown that nobody asked for', () => {
    const detector = createShutdownDetector();
    detector.console('         Stopping foo.service - Foo...\n[  OK  ] Stopped foo.service - Foo.\nThe system is going down for lunch\n', 1);
    expect(detector.report(2)).toMatchObject({ outcome: 'running', phases: [] });
  });

  it('survives any bytes, and shows no control character', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('\u001b[31m', 'A stop job is running for ', ' (3s / no limit)', '\r\n', 'Stopped ', 'systemd-shutdown[1]: '))), (parts) => {
        const detector = createShutdownDetector();
        detector.requested(0);
        for (const part of parts) detector.console(part, 1);
        expect(formatShutdown(detector.report(2)).replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }),
    );
  });
});

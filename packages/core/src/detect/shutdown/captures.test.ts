import { describe, expect, it } from 'vitest';
import { capture, fed, WISH } from './shutdown.fixture.js';
import { judgeShutdown } from './verdict.js';

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

  it('continues to what systemd-shutdown waits for, when the units have ended at last', () => {
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

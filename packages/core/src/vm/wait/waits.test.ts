import { describe, expect, it } from 'vitest';
import { QmpilotError } from '../../errors.js';
import { all, any, runWait, until, type Wait, type WaitTarget } from './waits.js';

/** A vm of which these waits ask nothing but when it ends. */
function target(ended: Promise<QmpilotError> = new Promise(() => {})): WaitTarget {
  const console = { lastLines: () => ['last line'] };
  return {
    console,
    ended,
    probeShell: () => {
      throw new Error('not asked for');
    },
  } as unknown as WaitTarget;
}
const after = (looks: number, value: string): Wait<string> => {
  let seen = 0;
  return {
    awaited: value,
    probe: async () => ((seen += 1) > looks ? { met: true, value } : { met: false, saw: `look ${seen}` }),
  };
};
const lost: Wait<never> = {
  awaited: 'the lost one',
  probe: async () => {
    throw new QmpilotError('UNIT_FAILED', 'it failed');
  },
};
const quick = { interval: 1, timeout: 2000 };

describe('waits', () => {
  it('compose: all gives every value, any the first', async () => {
    expect(await runWait(target(), all(after(3, 'a'), any(after(1000, 'b'), after(2, 'c'))), quick)).toEqual([
      'a',
      { index: 1, value: 'c' },
    ]);
  });

  it('show what they last saw when time runs out', async () => {
    const error = await runWait(target(), all(after(1, 'a'), after(1e9, 'b')), { interval: 1, timeout: 30 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      awaited: 'all of: a; b',
      evidence: { console: ['last line'], saw: expect.stringMatching(/^b: look \d+$/) },
      message: expect.stringContaining('; last seen: b: look'),
    });
  });

  it('have the line that waited in the stack of their errors, whether time ran out or a look said no', async () => {
    const stackOf = (wait: Wait, options: object) =>
      runWait(target(), wait, options).catch((error: unknown) => (error instanceof Error ? error.stack : ''));
    const late = await stackOf(after(1e9, 'a'), { interval: 1, timeout: 20 });
    expect(late).toMatch(/^TimeoutError: timed out after .*; last seen: look \d+\n +at [^]*stackOf/);
    expect(late).not.toContain('patient-timer');
    expect(await stackOf(lost, quick)).toMatch(/^QmpilotError: it failed\n +at [^]*probe[^]*stackOf/);
  });

  it('end at once when what is awaited cannot come any more; any goes on with the others', async () => {
    await expect(runWait(target(), all(after(1e9, 'a'), lost), quick)).rejects.toMatchObject({ code: 'UNIT_FAILED' });
    expect(await runWait(target(), any(lost, after(2, 'b')), quick)).toEqual({ index: 1, value: 'b' });
    await expect(runWait(target(), any(lost, lost), quick)).rejects.toMatchObject({ code: 'UNIT_FAILED' });
  });

  it('end with the vm, and with the signal', async () => {
    await expect(
      runWait(target(Promise.resolve(new QmpilotError('QEMU_EXITED', 'gone'))), after(1e9, 'a'), quick),
    ).rejects.toMatchObject({ code: 'QEMU_EXITED' });
    await expect(
      runWait(target(), after(1e9, 'a'), { ...quick, signal: AbortSignal.timeout(20) }),
    ).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('take an error of until for "not yet", and show it', async () => {
    let calls = 0;
    expect(
      await runWait(
        target(),
        until(() => {
          calls += 1;
          if (calls < 3) throw new Error('too early');
          return calls;
        }),
        quick,
      ),
    ).toBe(3);
    await expect(
      runWait(
        target(),
        until(() => {
          throw new Error('never');
        }, 'luck'),
        { interval: 1, timeout: 20 },
      ),
    ).rejects.toMatchObject({ awaited: 'luck', message: expect.stringContaining('last seen: it threw never') });
  });
});

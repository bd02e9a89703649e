import { describe, expect, it, vi } from 'vitest';
import { QmpilotError } from '../../errors.js';
import { all, any, until } from './combine.js';
import { forCommand } from './command.js';
import { forPort } from './port.js';
import { runWait, type CommandRunner, type Wait, type WaitTarget } from './wait.js';

/** A VM that these waits ask nothing but when it ends. */
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
const quick = { interval: 1, timeout: 30_000 };

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

  it('any is met although a look at another condition does not end, and ends that look', async () => {
    const ended = vi.fn();
    const hung: Wait<never> = {
      awaited: 'the hung one',
      probe: (_, signal) => new Promise(() => signal.addEventListener('abort', ended)),
    };
    expect(await runWait(target(), any(hung, after(2, 'b'), lost), quick)).toEqual({ index: 1, value: 'b' });
    expect(ended).toHaveBeenCalledOnce();
    await expect(runWait(target(), all(any(hung, lost)), { timeout: 30 })).rejects.toMatchObject({ code: 'TIMEOUT' });
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
        until(
          () => {
            throw new Error('never');
          },
          { awaited: 'luck' },
        ),
        { interval: 1, timeout: 20 },
      ),
    ).rejects.toMatchObject({ awaited: 'luck', message: expect.stringContaining('last seen: it threw never') });
  });
});

/** Gives a command the results of this list, one after the other. */
function commandTarget(...results: readonly { exitCode: number; stdout?: string; stderr?: string }[]): WaitTarget {
  const left = [...results];
  const runner = { exec: async () => ({ stdout: '', stderr: '', ...(left.shift() ?? results.at(-1)) }) };
  return {
    ...target(),
    commands: runner as unknown as CommandRunner,
    probeShell: () => runner as unknown as CommandRunner,
  };
}

describe('waits for a command', () => {
  it('repeat it until it succeeds, or with `fails` until it fails', async () => {
    const succeeds = commandTarget({ exitCode: 1 }, { exitCode: 7 }, { exitCode: 0, stdout: 'ok' });
    expect(await runWait(succeeds, forCommand('probe'), quick)).toMatchObject({ exitCode: 0, stdout: 'ok' });
    const fails = commandTarget({ exitCode: 0 }, { exitCode: 3 });
    expect(await runWait(fails, forCommand(['probe', 'a b'], { fails: true }), quick)).toMatchObject({ exitCode: 3 });
  });

  it('show the exit code and the end of the output of the last run', async () => {
    const refused = commandTarget({ exitCode: 7, stdout: `${'x'.repeat(500)}\n`, stderr: 'Connection refused\n' });
    await expect(runWait(refused, forCommand('curl -f localhost'), { interval: 1, timeout: 20 })).rejects.toMatchObject(
      {
        awaited: '"curl -f localhost" to succeed',
        message: expect.stringMatching(/last seen: exit code 7: \.\.\.x{1,200}\nConnection refused/),
      },
    );
  });
});

it('a port is closed when connections are refused, and not when the guest cannot tell', async () => {
  const closed = commandTarget(
    { exitCode: 0 },
    { exitCode: 124 },
    { exitCode: 1, stderr: 'bash: connect: Connection refused' },
  );
  expect(await runWait(closed, forPort(80, { closed: true }), quick)).toBe(80);
  const unknown = commandTarget({ exitCode: 1, stderr: 'bash: nohost: Name or service not known' });
  await expect(
    runWait(unknown, forPort(80, { host: 'nohost', closed: true }), { interval: '1ms', timeout: 20 }),
  ).rejects.toMatchObject({ message: expect.stringContaining('last seen: bash: nohost: Name or service not known') });
});

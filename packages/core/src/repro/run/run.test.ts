import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { QmpilotError } from '../../errors.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import type { ScenarioFinding } from '../scenario-finding.js';
import { type Scenario } from '../scenario.js';
import { runScenario } from './run-scenario.js';
import { bootFake, dir, FINDING, scenario, ScriptedVm, vms } from './scripted-vm.fixture.js';

const lines = async () =>
  (await readFile(join(dir, 'attempts.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

describe('runScenario', () => {
  it('tells reproduced, clean and inconclusive apart, and journals each', async () => {
    const summary = await runScenario(
      scenario(async (_vm, { index, report }) => {
        if (index === 1) report(FINDING);
        if (index === 2) report({ ...FINDING, severity: 'info' });
        if (index === 3) throw new Error('typo');
      }),
      { attempts: 3, dir, boot: bootFake, seed: 1, forks: 1 },
    );
    expect(summary).toMatchObject({ reproduced: 1, clean: 1, inconclusive: 1, rate: 0.5, medianTimeToFailureMs: 7 });
    expect(await lines()).toMatchObject([
      { index: 1, outcome: 'reproduced', timeToFailureMs: 7 },
      { index: 2, outcome: 'clean' },
      { index: 3, outcome: 'inconclusive', reason: 'the scenario threw Error: typo' },
    ]);
    expect(JSON.parse(await readFile(join(dir, 'attempts', '0001', 'findings.json'), 'utf8'))).toEqual([FINDING]);
    expect(JSON.parse(await readFile(join(dir, 'summary.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(summary)));
    expect(vms[0]?.forks).toHaveLength(3);
    expect([vms[0], ...(vms[0]?.forks ?? [])].every((vm) => vm?.closed)).toBe(true);
  });

  it('counts fail() as a failure, whether or not the scenario catches what it throws', async () => {
    const summary = await runScenario(
      scenario(async (_vm, { index, fail }) => {
        if (index === 1) fail('data loss', { evidence: ['line 3 is missing'] });
        try {
          fail('data loss in attempt 2', { signature: 'data loss' });
        } catch {}
      }),
      { attempts: 2, dir, boot: bootFake, forks: 1 },
    );
    expect(summary).toMatchObject({ reproduced: 2, threw: 0, failures: [{ signature: 'data loss', attempts: 2 }] });
    expect(await lines()).toMatchObject([
      { outcome: 'reproduced', findings: [{ kind: 'scenario', evidence: ['line 3 is missing'] }] },
      { outcome: 'reproduced', findings: [{ title: 'data loss in attempt 2' }] },
    ]);
  });

  it.each<RunEvent['type']>(['finding', 'note', 'attempt'])('ends with what onEvent throws for %s', async (type) => {
    const run = runScenario(
      scenario(async (_vm, { note }) => {
        // A listener of a watch that throws is removed, and the run would not hear of the next one.
        vms[0]?.forks[0]?.find({ ...FINDING, severity: 'info' });
        note('between');
        vms[0]?.forks[0]?.find(FINDING);
      }),
      {
        attempts: 2,
        dir,
        boot: bootFake,
        forks: 1,
        onEvent: (event) => {
          if (event.type === type) throw new Error(`cannot show ${type}`);
        },
      },
    );
    await expect(run).rejects.toThrow(`cannot show ${type}`);
    expect(vms[0]?.forks).toHaveLength(1);
    expect([vms[0], ...(vms[0]?.forks ?? [])].every((vm) => vm?.closed)).toBe(true);
  });

  const failing: Scenario['attempt'] = async (_vm, { index }) => {
    if (index === 1) throw new QmpilotError('COMMAND_FAILED', '"flaky" exited with 1: no\nluck');
    if (index === 2) throw new QmpilotError('SHELL_LOST', 'hvc0 does not answer');
  };

  it('counts a failed command as inconclusive, and says that it may be the failure', async () => {
    const summary = await runScenario(scenario(failing), { attempts: 3, dir, boot: bootFake, forks: 1 });
    expect(summary).toMatchObject({ reproduced: 0, inconclusive: 2, clean: 1, threw: 1 });
    expect(await lines()).toMatchObject([{ outcome: 'inconclusive', threw: true }, { outcome: 'inconclusive' }, {}]);
  });

  it('counts a failed command as reproduced by failOn, and a lost shell as inconclusive', async () => {
    const summary = await runScenario(scenario(failing, { failOn: 'throw' }), {
      attempts: 3,
      dir,
      boot: bootFake,
      forks: 1,
    });
    expect(summary).toMatchObject({ reproduced: 1, inconclusive: 1, clean: 1, threw: 0 });
    expect(await lines()).toMatchObject([
      { outcome: 'reproduced', findings: [{ title: 'COMMAND_FAILED: "flaky" exited with 1: no luck' }] },
      { outcome: 'inconclusive', reason: 'SHELL_LOST: hvc0 does not answer' },
      { outcome: 'clean' },
    ]);
  });

  it.each([
    [{ severity: 'fatal', title: 't' }, 'severity'],
    [{ severity: 'error', title: 'a\nb' }, 'title'],
    [{ severity: 'error', title: 't', signature: '' }, 'signature'],
    [{ severity: 'error', title: 't', at: Number.NaN }, 'at'],
    [{ severity: 'error', title: 't', evidence: 'text' }, 'evidence'],
    [undefined, ''],
  ])('refuses to report %j', async (finding, part) => {
    await runScenario(
      scenario(async (_vm, { report }) => report(finding as ScenarioFinding)),
      { attempts: 1, dir, boot: bootFake },
    );
    expect(await lines()).toMatchObject([
      { outcome: 'inconclusive', reason: expect.stringContaining(`USAGE: report: finding${part && `.${part}`}`) },
    ]);
  });

  it('counts an attempt whose QEMU died as inconclusive, and continues', async () => {
    const summary = await runScenario(
      scenario(async (vm, { index, signal }) => {
        if (index > 1) return;
        (vm as unknown as ScriptedVm).die();
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('left'))));
      }),
      { attempts: 2, forks: 1, dir, boot: bootFake },
    );
    expect(summary).toMatchObject({ inconclusive: 1, clean: 1 });
    expect(await lines()).toMatchObject([{ reason: 'QEMU_EXITED: QEMU was killed' }, { outcome: 'clean' }]);
  });

  it('calls an attempt that ran out of time without a finding clean, even if it never returns', async () => {
    const summary = await runScenario(
      scenario(() => new Promise(() => {})),
      { attempts: 1, timeout: 20, dir, boot: bootFake },
    );
    expect(summary).toMatchObject({ clean: 1 });
  });

  it('keeps finished attempts and closes the VM when it is interrupted', async () => {
    const stop = new AbortController();
    const run = runScenario(
      scenario(async (_vm, { index, signal }) => {
        if (index < 2) return;
        stop.abort(new Error('Ctrl-C'));
        signal.throwIfAborted();
      }),
      { attempts: 5, forks: 1, dir, boot: bootFake, signal: stop.signal },
    );
    await expect(run).rejects.toThrow('Ctrl-C');
    expect(await lines()).toMatchObject([{ index: 1, outcome: 'clean' }]);
    expect(vms[0]?.closed).toBe(true);
    expect(vms[0]?.forks.every(({ closed }) => closed)).toBe(true);
  });

  it('stops after as many reproduced attempts as wanted', async () => {
    const summary = await runScenario(
      scenario(async (_vm, { report }) => report(FINDING)),
      { attempts: 50, forks: 1, untilReproduced: 2, dir, boot: bootFake },
    );
    expect(summary).toMatchObject({ attempts: 2, reproduced: 2 });
  });

  it('asks again for a fork that did not load', async () => {
    const summary = await runScenario(
      scenario(async () => void ((vms[0] ?? new ScriptedVm()).forksThatFail = 1)),
      { attempts: 2, forks: 1, dir, boot: bootFake },
    );
    expect(summary).toMatchObject({ clean: 2 });
    expect(vms).toHaveLength(1);
  });

  it('boots and prepares again when the snapshot does not load', async () => {
    const attempt: Scenario['attempt'] = async (_vm, { index }) => {
      if (index === 1 && vms[0]) vms[0].forksThatFail = Infinity;
    };
    const summary = await runScenario(scenario(attempt), { attempts: 2, forks: 1, dir, boot: bootFake });
    expect(summary).toMatchObject({ clean: 2 });
    expect(vms).toHaveLength(2);
    expect(vms[0]?.closed).toBe(true);
  });

  it('gives up, with the cause, when no new snapshot loads either', async () => {
    const run = runScenario(
      scenario(async () => {}),
      {
        attempts: 2,
        dir,
        boot: async () => {
          const vm = await bootFake();
          (vm as unknown as ScriptedVm).forksThatFail = Infinity;
          return vm;
        },
      },
    );
    await expect(run).rejects.toMatchObject({ code: 'SNAPSHOT', message: 'gone' });
    expect(vms).toHaveLength(3);
    expect(vms.every(({ closed }) => closed)).toBe(true);
  });

  it('gives the attempts other seeds, and the same ones for the same seed of the run', async () => {
    const seeds: number[] = [];
    const attempt: Scenario['attempt'] = async (_vm, { seed }) => void seeds.push(seed);
    await runScenario(scenario(attempt), { attempts: 2, forks: 1, seed: 5, dir: join(dir, 'a'), boot: bootFake });
    await runScenario(scenario(attempt), { attempts: 2, forks: 1, seed: 5, dir: join(dir, 'b'), boot: bootFake });
    expect(seeds[0]).not.toBe(seeds[1]);
    expect(seeds.slice(0, 2)).toEqual(seeds.slice(2));
  });

  it('refuses a run directory that is not empty, and attachments outside of the attempt', async () => {
    await writeFile(join(dir, 'precious'), 'x');
    await expect(
      runScenario(
        scenario(async () => {}),
        { dir, boot: bootFake },
      ),
    ).rejects.toMatchObject({ code: 'USAGE' });
    const sub = join(dir, 'run');
    await runScenario(
      scenario(async (_vm, { attach }) => attach('../../evil', 'x')),
      { attempts: 1, dir: sub, boot: bootFake },
    );
    expect(await readFile(join(sub, 'attempts.jsonl'), 'utf8')).toMatch(/inconclusive.*not a plain file name/);
  });

  it.each([0, 1.5, NaN])('refuses %d attempts', async (attempts) => {
    await expect(
      runScenario(
        scenario(async () => {}),
        { attempts, dir, boot: bootFake },
      ),
    ).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('refuses an option that it does not have, and a shard that cannot be', async () => {
    const one = scenario(async () => {});
    await expect(runScenario(one, { out: dir, boot: bootFake } as never)).rejects.toMatchObject({
      code: 'USAGE',
      message: 'runScenario: options.out: unknown option',
    });
    await expect(runScenario(one, { shard: { index: 3, count: 2 }, dir, boot: bootFake })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('options.shard: expected a shard such as { index: 2, count: 5 }'),
    });
  });
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { parseAttempts } from '../../run-files/attempts-file.js';
import { type Scenario } from '../scenario.js';
import { runScenario } from './run-scenario.js';
import { bootFake, dir, FINDING, scenario, type ScriptedVm, vms } from './scripted-vm.fixture.js';

describe('parallel attempts', () => {
  const byIndex = (records: readonly AttemptRecord[]) =>
    records
      .map(({ index, outcome, seed }) => ({ index, outcome, seed }))
      .toSorted((one, other) => one.index - other.index);
  /** Fails by its seed alone, as what depends on chance does. */
  const chance: Scenario['attempt'] = async (_vm, { seed, report }) => {
    await new Promise((resolve) => setTimeout(resolve, seed % 5));
    if (seed % 3 === 0) report(FINDING);
  };
  const recordsOf = async (path: string) => parseAttempts(await readFile(join(path, 'attempts.jsonl')), path).records;

  it('are as many as asked for at once, and the results are those of one fork', async () => {
    let [now, most] = [0, 0];
    // The first ones wait for each other: else a busy host may end one before the next begins.
    let together = () => {};
    const all = new Promise<void>((resolve) => {
      together = resolve;
    });
    const attempt: Scenario['attempt'] = async (vm, context) => {
      most = Math.max(most, (now += 1));
      if (now === 4) together();
      await all;
      await chance(vm, context);
      now -= 1;
    };
    await runScenario(scenario(chance), { attempts: 30, forks: 1, seed: 3, dir: join(dir, 'one'), boot: bootFake });
    await runScenario(scenario(attempt), { attempts: 30, forks: 4, seed: 3, dir: join(dir, 'four'), boot: bootFake });
    expect(most).toBe(4);
    expect(byIndex(await recordsOf(join(dir, 'four')))).toEqual(byIndex(await recordsOf(join(dir, 'one'))));
    expect(new Set((await recordsOf(join(dir, 'four'))).map(({ fork }) => fork))).toEqual(new Set([1, 2, 3, 4]));
  });

  it('continue when one of them loses its QEMU: that costs one inconclusive attempt', async () => {
    const attempt: Scenario['attempt'] = async (vm, { index, signal }) => {
      if (index !== 3) return;
      (vm as unknown as ScriptedVm).die();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    expect(await runScenario(scenario(attempt), { attempts: 12, forks: 4, dir, boot: bootFake })).toMatchObject({
      attempts: 12,
      clean: 11,
      inconclusive: 1,
    });
  });

  it('leave those under way when enough was seen, and close their guests', async () => {
    const attempt: Scenario['attempt'] = async (_vm, { index, report, signal }) => {
      if (index === 2) return report(FINDING);
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('left'))));
    };
    const summary = await runScenario(scenario(attempt), {
      attempts: 50,
      forks: 3,
      untilReproduced: 1,
      dir,
      boot: bootFake,
    });
    expect(summary).toMatchObject({ attempts: 1, reproduced: 1 });
    expect(vms[0]?.forks.every(({ closed }) => closed)).toBe(true);
  });

  it('resumed after an interrupt at any attempt are the same as never interrupted', async () => {
    await runScenario(scenario(chance), { attempts: 20, forks: 2, seed: 9, dir: join(dir, 'whole'), boot: bootFake });
    for (const at of [1, 2, 7, 13, 20]) {
      const path = join(dir, `cut-${at}`);
      const stop = new AbortController();
      const attempt: Scenario['attempt'] = async (vm, context) => {
        await chance(vm, context);
        if (context.index === at) stop.abort(new Error('Ctrl-C'));
      };
      await runScenario(scenario(attempt), {
        attempts: 20,
        forks: 2,
        seed: 9,
        dir: path,
        boot: bootFake,
        signal: stop.signal,
      }).catch(() => {});
      const summary = await runScenario(scenario(chance), { resume: path, forks: 2, boot: bootFake });
      expect(summary.attempts).toBe(20);
      expect(byIndex(await recordsOf(path))).toEqual(byIndex(await recordsOf(join(dir, 'whole'))));
    }
  });
});

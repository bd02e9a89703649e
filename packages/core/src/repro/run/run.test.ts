import { EventEmitter } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../detect/finding.js';
import { QmpilotError } from '../../errors.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { parseAttempts } from '../../run-files/attempts-file.js';
import { readRunFile } from '../../run-files/journal.js';
import type { Vm } from '../../vm/vm.js';
import type { ScenarioFinding } from '../scenario-finding.js';
import { defineScenario, type Scenario } from '../scenario.js';
import { runScenario } from './run.js';

const FINDING: Finding = {
  kind: 'bug',
  severity: 'error',
  title: 'kernel BUG in f',
  signature: 'kernel BUG in f',
  at: 7,
  evidence: [],
};

/** Stands for a vm where only the faults matter: those of a real one are made in the end-to-end tests. */
class ScriptedVm {
  readonly #bus = new EventEmitter();
  readonly facts = {
    guest: { name: 'fake', key: guestKey },
    qemu: { version: '1' },
    accelerator: { accelerator: 'tcg' },
    cpus: 1,
    memoryMiB: 1,
  };
  readonly console = {
    setTranscript: () => {},
    lastLines: () => [],
    screen: { columns: 80, rowCount: 24, settled: async () => {}, text: () => '' },
  };
  readonly ended: Promise<QmpilotError> = new Promise((resolve) =>
    this.#bus.once('die', () => resolve(new QmpilotError('QEMU_EXITED', 'QEMU was killed'))),
  );
  /** How many of the next forks do not load. */
  forksThatFail = 0;
  closed = false;
  readonly forks: ScriptedVm[] = [];

  watch(spec: object) {
    // As vm.watch does: the poweroff is the run's own part of `detect`.
    expect(spec).not.toHaveProperty('poweroff');
    return { findings: [], onFinding: () => () => {}, awaitCandidates: async () => [], stop: async () => {} };
  }
  onEvent() {
    return () => {};
  }
  async pause() {}
  snapshotBlockers = async () => [];
  async snapshot(name: string) {
    return {
      name,
      strategy: 'template',
      pausedMs: 1,
      pool: () => ({ take: (options: object) => this.#take(options), close: async () => {} }),
    };
  }
  async #take({ onStart }: { onStart?: (vm: Vm) => void }) {
    if (this.forksThatFail > 0) {
      this.forksThatFail -= 1;
      throw new QmpilotError('SNAPSHOT', 'gone');
    }
    const fork = new ScriptedVm();
    this.forks.push(fork);
    onStart?.(asVm(fork));
    return fork;
  }
  die() {
    this.#bus.emit('die');
  }
  async close() {
    this.closed = true;
  }
}

let guestKey: string;
let dir: string;
let vms: ScriptedVm[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-run-test-'));
  vms = [];
  guestKey = 'k';
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const asVm = (fake: unknown) => fake as Vm;
const bootFake = async () => {
  const vm = new ScriptedVm();
  vms.push(vm);
  return asVm(vm);
};
const guest = { name: 'fake', prepare: () => Promise.reject(new Error('not booted')) };
const scenario = (attempt: Scenario['attempt'], more: Partial<Scenario> = {}) =>
  defineScenario({ guest, attempt, ...more });
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

  it('counts an attempt whose QEMU died as inconclusive, and goes on', async () => {
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

  it('keeps finished attempts and closes the vm when it is interrupted', async () => {
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

  it('refuses a run directory that holds something, and attachments outside of the attempt', async () => {
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
});

describe('defineScenario', () => {
  it.each([
    [{ attempt: async () => {} }, 'names no guest'],
    [{ guest }, 'has no attempt'],
    [{ guest, attempt: async () => {}, prepare: 3 }, 'prepare'],
  ])('says what is missing in %j', (given, message) => {
    expect(() => defineScenario(given as unknown as Scenario)).toThrow(message);
  });
});

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

  it('go on when one of them loses its QEMU: that costs one inconclusive attempt', async () => {
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

describe('a run that is resumed', () => {
  const source = { file: 'x.repro.ts', sha256: 'a' };
  const first = (more: object = {}) =>
    runScenario(
      scenario(async () => {}),
      { attempts: 3, dir, source, boot: bootFake, ...more },
    );
  const again = (more: object = {}) =>
    runScenario(
      scenario(async () => {}),
      { resume: dir, source, boot: bootFake, ...more },
    );

  it('boots nothing when all is done, and makes only what is added', async () => {
    await first();
    vms = [];
    expect(await again()).toMatchObject({ attempts: 3 });
    expect(vms).toEqual([]);
    expect(await again({ attempts: 5 })).toMatchObject({ attempts: 5 });
    expect(vms[0]?.forks).toHaveLength(2);
    expect((await readRunFile(dir)).sessions.map(({ end }) => end)).toEqual(['finished', 'finished', 'finished']);
  });

  it('refuses another scenario or another guest unless told, and options that would make other attempts', async () => {
    await first();
    await expect(again({ source: { ...source, sha256: 'b' } })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(again({ seed: 4 })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(again({ timeout: 4 })).rejects.toMatchObject({ code: 'USAGE' });
    guestKey = 'other';
    await expect(again({ attempts: 4 })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('guest'),
    });
    expect(await again({ attempts: 4, acceptChanges: true, source: { ...source, sha256: 'b' } })).toMatchObject({
      attempts: 4,
    });
  });

  it('stays in its shard, and all shards together are the whole run', async () => {
    const parts = [1, 2, 3].map((index) => ({ dir: join(dir, String(index)), shard: { index, count: 3 } }));
    for (const part of parts) await first({ attempts: 10, ...part });
    const runs = await Promise.all(
      parts.map(async (part) => ({
        run: await readRunFile(part.dir),
        ...parseAttempts(await readFile(join(part.dir, 'attempts.jsonl')), part.dir),
      })),
    );
    expect(
      runs.flatMap(({ records }) => records.map(({ index }) => index)).toSorted((one, other) => one - other),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(new Set(runs.map(({ run }) => run.seed)).size).toBe(1);
    await expect(
      runScenario(
        scenario(async () => {}),
        { dir: join(dir, 'x'), shard: { index: 4, count: 3 }, boot: bootFake },
      ),
    ).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('stops when the rate is decided, and says so', async () => {
    const summary = await first({ attempts: 1000, forks: 4, until: 'rate<0.2@90%' });
    expect(summary).toMatchObject({ goal: { goal: 'rate<0.2@90%', decision: 'holds' }, reproduced: 0 });
    expect(summary.attempts).toBeLessThan(30);
    expect((await readRunFile(dir)).sessions).toMatchObject([{ end: 'stopped', message: 'rate<0.2@90% holds' }]);
    await expect(first({ dir: join(dir, 'x'), until: 'rate?' })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

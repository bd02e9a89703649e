import { EventEmitter } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../detect/finding.js';
import { QmpilotError } from '../errors.js';
import type { Vm } from '../vm/vm.js';
import type { RunEvent } from '../records/records.js';
import { runScenario } from './run.js';
import { defineScenario, type Scenario } from './scenario.js';

const FINDING: Finding = { kind: 'bug', severity: 'error', title: 'kernel BUG in f', signature: 'kernel BUG in f', at: 7, evidence: [] };

/** Stands for a vm where only the faults matter: those of a real one are made in the end-to-end tests. */
class ScriptedVm {
  readonly log: string[] = [];
  readonly #bus = new EventEmitter();
  readonly facts = { guest: { name: 'fake', key: 'k' } };
  readonly console = { setTranscript: () => {}, lastLines: () => [] };
  ended: Promise<QmpilotError> = new Promise(() => {});
  restoreFails = false;

  watch() {
    return { findings: [], onFinding: () => () => {}, stop: async () => {} };
  }
  onEvent() {
    return () => {};
  }
  async snapshot(name: string) {
    this.log.push(`snapshot ${name}`);
    return { pausedMs: 1 };
  }
  async restore(name: string) {
    this.log.push(`restore ${name}`);
    if (this.restoreFails) throw new QmpilotError('SNAPSHOT', 'gone');
    this.ended = new Promise((resolve) => this.#bus.once('die', () => resolve(new QmpilotError('QEMU_EXITED', 'QEMU was killed'))));
  }
  die() {
    this.#bus.emit('die');
  }
  async close() {
    this.log.push('close');
  }
}

let dir: string;
let vms: ScriptedVm[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-run-test-'));
  vms = [];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const asVm = (fake: unknown) => fake as Vm;
const bootFake = async () => {
  const vm = new ScriptedVm();
  vms.push(vm);
  return asVm(vm);
};
const guest = { name: 'fake', prepare: () => Promise.reject(new Error('not booted')) };
const scenario = (attempt: Scenario['attempt'], more: Partial<Scenario> = {}) => defineScenario({ guest, attempt, ...more });
const lines = async () => (await readFile(join(dir, 'attempts.jsonl'), 'utf8')).trim().split('\n').map((line): unknown => JSON.parse(line));

describe('runScenario', () => {
  it('tells reproduced, clean and inconclusive apart, and journals each', async () => {
    const summary = await runScenario(
      scenario(async (_vm, { index, report }) => {
        if (index === 1) report(FINDING);
        if (index === 2) report({ ...FINDING, severity: 'info' });
        if (index === 3) throw new Error('typo');
      }),
      { attempts: 3, dir, boot: bootFake, seed: 1 },
    );
    expect(summary).toMatchObject({ reproduced: 1, clean: 1, inconclusive: 1, rate: 0.5, medianTimeToFailureMs: 7 });
    expect(await lines()).toMatchObject([
      { index: 1, outcome: 'reproduced', timeToFailureMs: 7 },
      { index: 2, outcome: 'clean' },
      { index: 3, outcome: 'inconclusive', reason: 'the scenario threw Error: typo' },
    ]);
    expect(JSON.parse(await readFile(join(dir, 'attempts', '0001', 'findings.json'), 'utf8'))).toEqual([FINDING]);
    expect(JSON.parse(await readFile(join(dir, 'summary.json'), 'utf8'))).toEqual(JSON.parse(JSON.stringify(summary)));
    expect(vms[0]?.log).toEqual(['snapshot prepared', 'restore prepared', 'restore prepared', 'restore prepared', 'close']);
  });

  it('counts an attempt whose QEMU died as inconclusive, and goes on', async () => {
    const summary = await runScenario(
      scenario(async (vm, { index, signal }) => {
        if (index > 1) return;
        (vm as unknown as ScriptedVm).die();
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('left'))));
      }),
      { attempts: 2, dir, boot: bootFake },
    );
    expect(summary).toMatchObject({ inconclusive: 1, clean: 1 });
    expect(await lines()).toMatchObject([{ reason: 'QEMU_EXITED: QEMU was killed' }, { outcome: 'clean' }]);
  });

  it('calls an attempt that ran out of time without a finding clean, even if it never returns', async () => {
    const summary = await runScenario(scenario(() => new Promise(() => {})), { attempts: 1, timeout: 20, dir, boot: bootFake });
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
      { attempts: 5, dir, boot: bootFake, signal: stop.signal },
    );
    await expect(run).rejects.toThrow('Ctrl-C');
    expect(await lines()).toMatchObject([{ index: 1, outcome: 'clean' }]);
    expect(vms[0]?.log.at(-1)).toBe('close');
  });

  it('stops after as many reproduced attempts as wanted', async () => {
    const summary = await runScenario(scenario(async (_vm, { report }) => report(FINDING)), { attempts: 50, untilReproduced: 2, dir, boot: bootFake });
    expect(summary).toMatchObject({ attempts: 2, reproduced: 2 });
  });

  it('boots and prepares again when the snapshot does not load', async () => {
    const events: RunEvent[] = [];
    const summary = await runScenario(
      scenario(async (vm, { index }) => {
        if (index === 1) (vm as unknown as ScriptedVm).restoreFails = true;
      }),
      { attempts: 2, dir, boot: bootFake, onEvent: (event) => events.push(event) },
    );
    expect(summary).toMatchObject({ clean: 2 });
    expect(vms).toHaveLength(2);
    expect(vms[0]?.log.at(-1)).toBe('close');
  });

  it('gives the attempts other seeds, and the same ones for the same seed of the run', async () => {
    const seeds: number[] = [];
    const attempt: Scenario['attempt'] = async (_vm, { seed }) => void seeds.push(seed);
    await runScenario(scenario(attempt), { attempts: 2, seed: 5, dir: join(dir, 'a'), boot: bootFake });
    await runScenario(scenario(attempt), { attempts: 2, seed: 5, dir: join(dir, 'b'), boot: bootFake });
    expect(seeds[0]).not.toBe(seeds[1]);
    expect(seeds.slice(0, 2)).toEqual(seeds.slice(2));
  });

  it('refuses a run directory that holds something, and attachments outside of the attempt', async () => {
    await writeFile(join(dir, 'precious'), 'x');
    await expect(runScenario(scenario(async () => {}), { dir, boot: bootFake })).rejects.toMatchObject({ code: 'USAGE' });
    const sub = join(dir, 'run');
    await runScenario(scenario(async (_vm, { attach }) => attach('../../evil', 'x')), { attempts: 1, dir: sub, boot: bootFake });
    expect(await readFile(join(sub, 'attempts.jsonl'), 'utf8')).toMatch(/inconclusive.*not a plain file name/);
  });

  it.each([0, 1.5, NaN])('refuses %d attempts', async (attempts) => {
    await expect(runScenario(scenario(async () => {}), { attempts, dir, boot: bootFake })).rejects.toMatchObject({ code: 'USAGE' });
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

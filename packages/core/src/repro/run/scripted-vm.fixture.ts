import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { Finding } from '../../detect/finding.js';
import { QmpilotError } from '../../errors.js';
import { Listeners } from '../../util/async/listeners.js';
import type { Vm } from '../../vm/vm.js';
import { defineScenario, type Scenario } from '../scenario.js';

export const FINDING: Finding = {
  kind: 'bug',
  severity: 'error',
  title: 'kernel BUG in f',
  signature: 'kernel BUG in f',
  at: 7,
  evidence: [],
};

/** A VM whose faults a test decides; the end-to-end tests make those of a real one. */
export class ScriptedVm {
  readonly #bus = new EventEmitter();
  readonly #found = new Listeners<Finding>();
  readonly facts;
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

  constructor(guestKey = 'k') {
    this.facts = {
      guest: { name: 'fake', key: guestKey },
      qemu: { version: '1' },
      accelerator: { accelerator: 'tcg' },
      cpus: 1,
      memoryMiB: 1,
    };
  }

  watch(spec: object) {
    // As vm.watch does: the poweroff is the run's own part of `detect`.
    expect(spec).not.toHaveProperty('poweroff');
    const onFinding = (listener: (finding: Finding) => void) => this.#found.add(listener);
    return { findings: [], onFinding, awaitCandidates: async () => [], stop: async () => {} };
  }
  /** A detector finds something. */
  find(finding: Finding) {
    this.#found.emit(finding);
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
    const fork = new ScriptedVm(this.facts.guest.key);
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

const asVm = (fake: unknown) => fake as Vm;
const description = { name: 'fake', prepare: () => Promise.reject(new Error('not booted')) };
export const scenario = (attempt: Scenario['attempt'], more: Partial<Scenario> = {}) =>
  defineScenario({ guest: description, attempt, ...more });

/** A new run directory for each test. */
export let dir: string;
/** The VMs that `bootFake` has booted in this test. */
export let vms: ScriptedVm[];
/** The key of the guests that `bootFake` boots. */
export const guest = { key: 'k' };

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'qmpilot-run-test-'));
  vms = [];
  guest.key = 'k';
});
afterEach(() => rm(dir, { recursive: true, force: true }));

export const bootFake = async () => {
  const vm = new ScriptedVm(guest.key);
  vms.push(vm);
  return asVm(vm);
};

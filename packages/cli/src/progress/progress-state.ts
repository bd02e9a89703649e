import type { AttemptRecord, DStateFinding, Finding, RunEvent } from '@qmpilot/core';
import { briefProgress } from '../render/boot-progress.js';
import { renderFinding } from '../render/findings.js';

/** The state of one of the parallel forks. Times are in ms, on the clock of the caller. */
export interface ForkState {
  readonly fork: number;
  readonly index: number;
  readonly phase: 'restoring' | 'running' | 'stuck' | 'failed' | 'powering off';
  readonly since: number;
  /** Of the poweroff. */
  readonly limitMs?: number;
}

/** The state of the live display, computed from run events alone. */
export class ProgressState {
  readonly #forks = new Map<number, ForkState>();
  readonly #byIndex = new Map<number, number>();
  readonly #records: AttemptRecord[] = [];
  #todo = 0;
  #doneBefore = 0;
  #begun: number | undefined;
  #activity = 'starting';
  #lastFinding: string | undefined;

  take(event: RunEvent, now: number): void {
    switch (event.type) {
      case 'progress':
        this.#activity = briefProgress(event.message);
        return;
      case 'run':
        this.#todo = event.todo;
        this.#doneBefore = event.done.length;
        this.#records.push(...event.done);
        return;
      case 'attempt-started':
        this.#begun ??= now;
        this.#byIndex.set(event.index, event.fork);
        this.#set(event.index, { phase: 'restoring', since: now });
        return;
      case 'restored':
        this.#set(event.index, { phase: 'running', since: now });
        return;
      case 'finding':
        this.#takeFinding(event.index, event.finding, now);
        return;
      case 'poweroff':
        if (this.#phaseOf(event.index) !== 'powering off')
          this.#set(event.index, { phase: 'powering off', since: now, limitMs: event.timeoutMs });
        return;
      case 'attempt': {
        this.#records.push(event.record);
        const fork = this.#byIndex.get(event.record.index);
        this.#byIndex.delete(event.record.index);
        if (fork !== undefined) this.#forks.delete(fork);
      }
    }
  }

  get forks(): readonly ForkState[] {
    return [...this.#forks.values()].toSorted((one, other) => one.fork - other.fork);
  }

  get records(): readonly AttemptRecord[] {
    return this.#records;
  }

  get planned(): number {
    return this.#doneBefore + this.#todo;
  }

  /** The step before the first attempt. */
  get activity(): string | undefined {
    return this.#begun === undefined ? this.#activity : undefined;
  }

  get lastFinding(): string | undefined {
    return this.#lastFinding;
  }

  /** At the pace so far; undefined before the first attempt of this session has ended. */
  timeLeft(now: number): number | undefined {
    const made = this.#records.length - this.#doneBefore;
    if (this.#begun === undefined || made <= 0) return undefined;
    return ((now - this.#begun) / made) * (this.planned - this.#records.length);
  }

  #takeFinding(index: number, finding: Finding, now: number): void {
    this.#lastFinding = `attempt ${index}: ${renderFinding(finding)}`;
    const phase = this.#phaseOf(index);
    if (finding.severity !== 'error' || phase === 'powering off' || phase === 'stuck') return;
    if (isDState(finding)) this.#set(index, { phase: 'stuck', since: now - finding.stuckMs });
    else if (finding.kind === 'hung-task') this.#set(index, { phase: 'stuck', since: now });
    else if (phase === 'running') this.#set(index, { phase: 'failed', since: now });
  }

  #phaseOf(index: number): ForkState['phase'] | undefined {
    return this.#forks.get(this.#byIndex.get(index) ?? 0)?.phase;
  }

  #set(index: number, state: Pick<ForkState, 'phase' | 'since' | 'limitMs'>): void {
    const fork = this.#byIndex.get(index);
    if (fork !== undefined) this.#forks.set(fork, { fork, index, ...state });
  }
}

function isDState(finding: Finding): finding is DStateFinding {
  return finding.kind === 'd-state';
}

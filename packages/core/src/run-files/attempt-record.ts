import type { Finding } from '../detect/finding.js';
import type { VmFacts } from '../qemu/vm-facts.js';
import type { Shard } from './run-file.js';

/** `inconclusive`: we could not tell (QEMU died, the scenario threw). It counts neither way. */
export type Outcome = 'reproduced' | 'clean' | 'inconclusive';

/** One checkpoint that a failing attempt has kept: a saved snapshot, `checkpoints/NUMBER` in the attempt's folder. */
export interface CheckpointRecord {
  /** From 1, in the order of their times. */
  readonly number: number;
  /** When it was taken, in ms since the attempt began. */
  readonly at: number;
  /** What the scenario calls this moment. */
  readonly mark?: string;
  /** How long the guest was paused for it, in ms. */
  readonly pausedMs: number;
  /** Bytes of memory and disk that the attempt had changed until then. */
  readonly bytes: number;
}

/** The checkpoints of an attempt. */
export interface KeptCheckpoints {
  /** When the scenario's `attempt` ended, in ms since it began; detectors may have found the failure later. */
  readonly endedAt: number;
  readonly list: readonly CheckpointRecord[];
}

/** One finished attempt: a line of attempts.jsonl. */
export interface AttemptRecord {
  readonly v: 1;
  readonly type: 'attempt';
  readonly index: number;
  readonly outcome: Outcome;
  /** Reason why it is inconclusive, or with which the scenario ended it. */
  readonly reason?: string;
  /** The scenario threw an error that may be the guest's failure: a failed command, an assertion, a wait that timed out. */
  readonly threw?: true;
  /** Wall clock, ISO 8601. */
  readonly startedAt: string;
  /** From the restore's end to the verdict, in ms. */
  readonly ms: number;
  readonly restoreMs: number;
  /** Until the first finding of severity `error`, in ms. */
  readonly timeToFailureMs?: number;
  readonly seed: number;
  /** Which of the parallel workers made it, from 1. */
  readonly fork?: number;
  /** The first of each signature and task; findings.json of the attempt has all. */
  readonly findings: readonly (Finding & { readonly times: number })[];
  /** Of a hang: which tasks are stuck, what they wait for and who holds it, as `vm.explain` says it. */
  readonly explanation?: readonly string[];
  /** The dump of the guest's memory, as a path in the run directory: `attempts/0017/memory.elf`. */
  readonly dump?: string;
  /** What `qmpilot when` starts from. */
  readonly checkpoints?: KeptCheckpoints;
}

/** Number of attempts in which something failed, by signature. */
export interface FailureCount {
  readonly signature: string;
  readonly title: string;
  readonly attempts: number;
}

/** The result of a run. */
export interface RunSummary {
  readonly v: 1;
  readonly type: 'summary';
  readonly attempts: number;
  readonly reproduced: number;
  readonly clean: number;
  readonly inconclusive: number;
  /** Number of inconclusive attempts that threw an error, which may be the guest's failure. */
  readonly threw: number;
  /** `reproduced / (reproduced + clean)`; null when both are 0. */
  readonly rate: number | null;
  /** 95 % Wilson interval of the rate. */
  readonly interval: readonly [number, number] | null;
  readonly medianTimeToFailureMs: number | null;
  /** Number of attempts with each failure, and with each of the findings that belong to it. */
  readonly failures: readonly (FailureCount & { readonly symptoms: readonly FailureCount[] })[];
  /** The result of the run's goal (`until`), if it has one. */
  readonly goal?: { readonly goal: string; readonly decision: 'open' | 'holds' | 'refuted' };
  /** The run directory. */
  readonly dir: string;
}

/** An event of a run, for progress displays. */
export type RunEvent =
  | { readonly type: 'progress'; readonly message: string }
  /**
   * The run directory is there; `done` attempts are in it already, `todo` are still to be made. `attempts`: of the whole run, all
   * shards together, which is what the indices count to.
   */
  | {
      readonly type: 'run';
      readonly dir: string;
      readonly attempts: number;
      readonly shard?: Shard;
      readonly todo: number;
      readonly done: readonly AttemptRecord[];
    }
  | { readonly type: 'booted'; readonly facts: VmFacts; readonly ms: number }
  | { readonly type: 'prepared'; readonly ms: number; readonly snapshotMs: number; readonly from: 'boot' | 'cache' }
  /** Number of attempts in parallel, and the reason for it. */
  | { readonly type: 'forks'; readonly forks: number; readonly reason: string }
  | { readonly type: 'attempt-started'; readonly index: number; readonly fork: number }
  /** The guest is restored, and the scenario's attempt begins. */
  | { readonly type: 'restored'; readonly index: number; readonly ms: number }
  | { readonly type: 'note'; readonly index: number; readonly text: string }
  | { readonly type: 'finding'; readonly index: number; readonly finding: Finding }
  | { readonly type: 'poweroff'; readonly index: number; readonly phase: string; readonly timeoutMs: number }
  | { readonly type: 'attempt'; readonly record: AttemptRecord }
  | { readonly type: 'summary'; readonly summary: RunSummary };

import type { AttemptRecord } from '../../run-files/attempt-record.js';

/** What run.json says, as far as it does: runs of other versions, or that were cut off early, lack some of it. */
export interface RunDescription {
  readonly name: string;
  readonly startedAt?: string;
  readonly seed?: number;
  /** How many attempts were wanted, all shards together. */
  readonly attempts?: number;
  readonly shard?: { readonly index: number; readonly count: number };
  readonly timeoutMs?: number;
  readonly until?: string;
  readonly untilReproduced?: number;
  readonly source?: { readonly file: string; readonly sha256: string };
  readonly environment: readonly Fact[];
  readonly kernel?: string;
  readonly guest?: string;
  readonly qemu?: string;
  readonly commandLine: readonly string[];
  readonly sessions: readonly {
    readonly startedAt?: string;
    readonly forks?: number;
    readonly end?: string;
    readonly message?: string;
  }[];
}

/** One line of what a run ran on. */
export interface Fact {
  readonly name: string;
  readonly value: string;
}

/** One run directory, or the shards of one run together. */
export interface RunInput {
  /** How people call it: the folder's name. */
  readonly label: string;
  readonly dir: string;
  readonly run: RunDescription;
  /** By index, each once. */
  readonly attempts: readonly AttemptRecord[];
  /** Of some of the attempts, by index. */
  readonly evidence: ReadonlyMap<number, AttemptEvidence>;
  /** The console's last bytes before the snapshot: what the screen showed when each attempt began. */
  readonly prologue?: Uint8Array;
  /** Where each attempt's folder is, seen from where the report lies; for links. */
  readonly folder: (index: number) => string;
  /** What could not be read, for users. */
  readonly notes: readonly string[];
  /** The shards it was put together from. */
  readonly shards?: readonly { readonly index: number; readonly count: number; readonly label: string }[];
}

/** What the folder of one attempt holds. */
export interface AttemptEvidence {
  readonly console: Uint8Array;
  /** How much of the console is left out here. */
  readonly consoleDropped: number;
  /** Text of console.timing; empty when there is none. */
  readonly timing: string;
  readonly events: readonly Readonly<Record<string, unknown>>[];
  /** The screen as the attempt found it. */
  readonly screenStart?: string;
  /** Texts that the scenario or qmpilot kept: sysrq-w.txt, poweroff.json, ... */
  readonly files: readonly { readonly name: string; readonly text: string }[];
}

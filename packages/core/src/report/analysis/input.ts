import type { AttemptRecord } from '../../run-files/attempt-record.js';
import type { WhenResult } from '../../run-files/when-file.js';

/** The readable part of run.json: runs of other versions, and truncated ones, lack members. */
export interface RunDescription {
  readonly name: string;
  readonly startedAt?: string;
  readonly seed?: number;
  /** The requested number of attempts, all shards together. */
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

/** A line about the environment of a run. */
export interface Fact {
  readonly name: string;
  readonly value: string;
}

/** One run directory, or the shards of one run together. */
export interface RunInput {
  /** Label of the run: the name of its directory. */
  readonly label: string;
  readonly dir: string;
  readonly run: RunDescription;
  /** By index, each once. */
  readonly attempts: readonly AttemptRecord[];
  /** Of some of the attempts, by index. */
  readonly evidence: ReadonlyMap<number, AttemptEvidence>;
  /** The curves of `qmpilot when`, by the number of their attempt. */
  readonly when?: readonly WhenResult[];
  /** The console's last bytes before the snapshot: what the screen showed when each attempt began. */
  readonly prologue?: Uint8Array;
  /** Directory of each attempt, relative to that of the report, for links. */
  readonly folder: (index: number) => string;
  /** Problems while reading, for users. */
  readonly notes: readonly string[];
  /** The shards it was put together from. */
  readonly shards?: readonly { readonly index: number; readonly count: number; readonly label: string }[];
}

/** The evidence in the directory of an attempt. */
export interface AttemptEvidence {
  readonly console: Uint8Array;
  /** The part of the console that is left out here. */
  readonly consoleDropped: number;
  /** Text of console.timing; empty when there is none. */
  readonly timing: string;
  readonly events: readonly Readonly<Record<string, unknown>>[];
  /** The screen as the attempt found it. */
  readonly screenStart?: string;
  /** Texts that the scenario or qmpilot kept: sysrq-w.txt, poweroff.json, ... */
  readonly files: readonly { readonly name: string; readonly text: string }[];
}

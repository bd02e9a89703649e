import { basename, dirname } from 'node:path';
import * as v from 'valibot';
import { QmpilotError } from '../errors.js';
import type { VmFacts } from '../qemu/vm-facts.js';
import { isObject } from '../util/validation/is-object.js';
import { parseJson, salvage, type Salvaged } from './salvage.js';
import { RUN_SCHEMA, SHARD_SCHEMA } from './schema.js';

/** The attempts with `index mod count` equal to this `index mod count` are in this run directory. */
export interface Shard {
  /** 1 to `count`. */
  readonly index: number;
  readonly count: number;
}

/** One start of qmpilot on a run: a run that was killed and resumed has several. */
export interface RunSession {
  readonly startedAt: string;
  readonly pid: number;
  readonly forks?: number;
  readonly endedAt?: string;
  /** `stopped`: ended early by its stop rule. Absent: killed, or in progress. */
  readonly end?: 'finished' | 'stopped' | 'interrupted' | 'failed';
  /** Why it failed, or stopped. */
  readonly message?: string;
}

/** The host that the run ran on. */
export interface RunEnvironment {
  readonly qmpilot: string;
  readonly node: string;
  /** Operating system, kernel release, machine. */
  readonly host: string;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryMiB: number;
}

/** What is kept along each attempt; see `CheckpointOptions`. */
export interface CheckpointSettings {
  /** Absent: only at the marks of the scenario. */
  readonly everyMs?: number;
  readonly most: number;
  readonly mebibytes: number;
  readonly attempts: number;
}

/** run.json: what a run is. docs/run-directory.md says more. */
export interface RunFile {
  readonly v: 1;
  readonly name: string;
  readonly startedAt: string;
  readonly seed: number;
  /** Of the whole run, all shards together. */
  readonly attempts: number;
  readonly shard?: Shard;
  readonly timeoutMs: number;
  readonly untilReproduced?: number;
  readonly until?: string;
  readonly checkpoints?: CheckpointSettings;
  readonly source?: { readonly file: string; readonly sha256: string };
  readonly environment?: RunEnvironment;
  readonly facts?: VmFacts;
  readonly prepared?: { readonly ms: number; readonly snapshotMs: number; readonly from: 'boot' | 'cache' };
  readonly sessions: readonly RunSession[];
}

/** The readable part of a run.json: runs of other versions, and truncated ones, lack members. */
export type SalvagedRunFile = Salvaged<v.InferOutput<typeof RUN_SCHEMA>>;

/**
 * Reads run.json strictly, to continue the run. Fields that are not needed for that are taken as they are.
 * @throws {USAGE} naming what is missing or invalid
 */
export function parseRunFile(text: string, path: string): RunFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notARun(path, 'not JSON', cause);
  }
  if (!isObject(value)) throw notARun(path, 'not a JSON object');
  if (value['v'] !== 1) throw notARun(path, `unsupported version ${String(value['v'])}; this qmpilot reads version 1`);
  const { issues } = v.safeParse(RUN_SCHEMA, value, { abortEarly: true });
  const issue = issues?.[0];
  if (issue !== undefined) throw notARun(path, `${v.getDotPath(issue) ?? 'a field'} is missing or invalid`);
  // The schema has what a resume reads; the rest was written by this version.
  return value as unknown as RunFile;
}

/** Reads as much of run.json as can be read. */
export function salvageRunFile(text: string): SalvagedRunFile {
  return salvage(RUN_SCHEMA, parseJson(text)) ?? {};
}

/** @throws {USAGE} unless it is of the form `2/5` */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (isShard(shard)) return shard;
  throw new QmpilotError('USAGE', `invalid shard ${JSON.stringify(text)}`, {
    hint: 'write 2/5 for the second of five',
  });
}

export function isShard(value: unknown): value is Shard {
  return v.is(SHARD_SCHEMA, value);
}

function notARun(path: string, why: string, cause?: unknown): QmpilotError {
  return new QmpilotError('USAGE', `${dirname(path)} is not a run directory: ${basename(path)}: ${why}`, {
    cause,
    hint: 'name a folder that qmpilot repro wrote',
  });
}

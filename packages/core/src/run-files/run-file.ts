import { QmpilotError } from '../errors.js';
import { isObject } from '../util/is-object.js';
import type { VmFacts } from '../vm/facts.js';

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
  /** `stopped`: enough was seen before all attempts were made. Absent: killed, or still at work. */
  readonly end?: 'finished' | 'stopped' | 'interrupted' | 'failed';
  /** Why it failed, or what it knew when it stopped. */
  readonly message?: string;
}

/** What the run ran on, beside the vm's own facts. */
export interface RunEnvironment {
  readonly qmpilot: string;
  readonly node: string;
  /** Operating system, kernel release, machine. */
  readonly host: string;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryMiB: number;
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
  readonly source?: { readonly file: string; readonly sha256: string };
  readonly environment?: RunEnvironment;
  readonly facts?: VmFacts;
  readonly prepared?: { readonly ms: number; readonly snapshotMs: number; readonly from: 'boot' | 'cache' };
  readonly sessions: readonly RunSession[];
}

/**
 * Reads the text of a run.json. Fields that are not needed to go on with the run are taken as they are.
 * @throws {USAGE} when it is none
 */
export function parseRunFile(text: string, path: string): RunFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notARun(path, 'it is not JSON', cause);
  }
  if (!isObject(value)) throw notARun(path, 'it holds no object');
  if (value['v'] !== 1) throw notARun(path, `it has version ${String(value['v'])}, and this qmpilot reads version 1`);
  const { name, startedAt, seed, attempts, shard, timeoutMs, untilReproduced, until, source, facts, sessions } = value;
  const fault = [
    typeof name !== 'string' && 'name',
    typeof startedAt !== 'string' && 'startedAt',
    !isWhole(seed, 0) && 'seed',
    !isWhole(attempts, 1) && 'attempts',
    shard !== undefined && !isShard(shard) && 'shard',
    !(typeof timeoutMs === 'number' && timeoutMs >= 0) && 'timeoutMs',
    untilReproduced !== undefined && !isWhole(untilReproduced, 1) && 'untilReproduced',
    until !== undefined && typeof until !== 'string' && 'until',
    source !== undefined && !isSource(source) && 'source',
    facts !== undefined && !isFacts(facts) && 'facts',
    !(Array.isArray(sessions) && sessions.every(isObject)) && 'sessions',
  ].find((one) => one !== false);
  if (fault !== undefined) throw notARun(path, `its ${fault} is missing or of another form`);
  return value as unknown as RunFile;
}

/** @throws {USAGE} unless it is of the form `2/5` */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (isShard(shard)) return shard;
  throw new QmpilotError('USAGE', `${JSON.stringify(text)} is no shard`, { hint: 'write 2/5 for the second of five' });
}

export function isShard(value: unknown): value is Shard {
  return (
    isObject(value) && isWhole(value['index'], 1) && isWhole(value['count'], 1) && value['index'] <= value['count']
  );
}

function isSource(value: unknown): boolean {
  return isObject(value) && typeof value['file'] === 'string' && typeof value['sha256'] === 'string';
}

/** What resumes and reports of all kinds read of it. */
function isFacts(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { guest, qemu, accelerator } = value;
  return (
    isObject(guest) &&
    typeof guest['name'] === 'string' &&
    typeof guest['key'] === 'string' &&
    isObject(qemu) &&
    typeof qemu['version'] === 'string' &&
    isObject(accelerator) &&
    typeof accelerator['accelerator'] === 'string'
  );
}

function isWhole(value: unknown, from: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= from;
}

function notARun(path: string, why: string, cause?: unknown): QmpilotError {
  return new QmpilotError('USAGE', `${path} describes no run: ${why}`, {
    cause,
    hint: 'name a folder that qmpilot repro wrote',
  });
}

import type { SalvagedRunFile } from '../../run-files/run-file.js';
import { formatDuration } from '../../util/text/format.js';
import type { Fact, RunDescription } from '../analysis/input.js';

/** Describes a run for reports; what could not be read of its run.json is left out. */
export function describeRunFile(run: SalvagedRunFile, fallbackName: string): RunDescription {
  const { facts, source, shard } = run;
  return defined({
    name: run.name ?? fallbackName,
    startedAt: run.startedAt,
    seed: run.seed,
    attempts: run.attempts,
    shard:
      shard?.index === undefined || shard.count === undefined ? undefined : { index: shard.index, count: shard.count },
    timeoutMs: run.timeoutMs,
    until: run.until,
    untilReproduced: run.untilReproduced,
    source: source?.file === undefined ? undefined : { file: source.file, sha256: source.sha256 ?? '' },
    environment: [...factsOfVm(facts ?? {}), ...factsOfHost(run.environment ?? {}), ...factsOfRun(run)],
    kernel: facts?.guest?.kernelRelease,
    guest: facts?.guest?.name,
    qemu: facts?.qemu?.version,
    commandLine: facts?.commandLine ?? [],
    sessions: (run.sessions ?? []).map(({ startedAt, forks, end, message }) =>
      defined({ startedAt, forks, end, message }),
    ),
  }) as RunDescription;
}

function factsOfVm(facts: NonNullable<SalvagedRunFile['facts']>): Fact[] {
  const { guest, qemu, accelerator } = facts;
  return listed({
    'Guest': guest?.name,
    'Guest kernel': guest?.kernelRelease,
    'Guest image': guest?.key,
    'QEMU': joined(' ', qemu?.version, bracketed(qemu?.path)),
    'Accelerator': joined(': ', accelerator?.accelerator?.toUpperCase(), accelerator?.reason),
    'Accelerator checked': accelerator?.provenAt,
    'Machine': joined(
      ', ',
      facts.machine,
      labelled('CPU', facts.cpu),
      labelled('vCPUs', facts.cpus),
      mebibytes(facts.memoryMiB),
    ),
  });
}

function factsOfHost(environment: NonNullable<SalvagedRunFile['environment']>): Fact[] {
  return listed({
    'qmpilot': environment.qmpilot,
    'Node.js': environment.node,
    'Host': environment.host,
    'Host CPU': joined(', ', labelled('CPUs', environment.cpus), environment.cpuModel),
    'Host memory': mebibytes(environment.memoryMiB),
  });
}

function factsOfRun({ source, name, seed, sessions = [], timeoutMs, until, startedAt }: SalvagedRunFile): Fact[] {
  return listed({
    'Scenario': source?.file ?? name,
    'Scenario SHA-256': source?.sha256,
    'Seed': seed?.toString(),
    'Parallel forks': sessions.at(-1)?.forks?.toString(),
    'Limit of an attempt': timeoutMs === undefined ? undefined : formatDuration(timeoutMs),
    'Until': until,
    'Started': startedAt,
  });
}

function listed(facts: Readonly<Record<string, string | undefined>>): Fact[] {
  return Object.entries(facts).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [{ name, value }],
  );
}

function joined(separator: string, ...parts: readonly (string | undefined)[]): string | undefined {
  const there = parts.filter((part) => part !== undefined && part !== '');
  return there.length === 0 ? undefined : there.join(separator);
}

const bracketed = (text: string | undefined) => (text === undefined ? undefined : `(${text})`);
const labelled = (name: string, value: string | number | undefined) =>
  value === undefined ? undefined : `${value} ${name}`;
const mebibytes = (value: number | undefined) => (value === undefined ? undefined : `${value} MiB`);

/** Leaves out undefined fields: optional ones may be absent, but not undefined. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

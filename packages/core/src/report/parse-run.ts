import type { Finding } from '../detect/finding.js';
import type { AttemptRecord } from '../run-files/attempt-record.js';
import { duration } from './format.js';
import type { Fact, RunDescription } from './input.js';
import {
  asNumber,
  asObject,
  asObjects,
  asText,
  asTexts,
  defined,
  parseJson,
  parseJsonLines,
  type Json,
} from './json-values.js';

/** Reads run.json; whatever is missing or of another form is left out. */
export function parseRunDescription(text: string, fallbackName: string): RunDescription {
  const run = asObject(parseJson(text)) ?? {};
  const facts = asObject(run['facts']) ?? {};
  const guest = asObject(facts['guest']);
  const qemu = asObject(facts['qemu']);
  const source = asObject(run['source']);
  const shard = asObject(run['shard']);
  const [index, count] = [asNumber(shard?.['index']), asNumber(shard?.['count'])];
  const [file, sha256] = [asText(source?.['file']), asText(source?.['sha256'])];
  const sessions = asObjects(run['sessions']);
  return defined({
    name: asText(run['name']) ?? fallbackName,
    startedAt: asText(run['startedAt']),
    seed: asNumber(run['seed']),
    attempts: asNumber(run['attempts']),
    shard: index === undefined || count === undefined ? undefined : { index, count },
    timeoutMs: asNumber(run['timeoutMs']),
    until: asText(run['until']),
    untilReproduced: asNumber(run['untilReproduced']),
    source: file === undefined ? undefined : { file, sha256: sha256 ?? '' },
    environment: [...factsOfVm(facts), ...factsOfHost(asObject(run['environment']) ?? {}), ...factsOfRun(run)],
    kernel: asText(guest?.['kernelRelease']),
    guest: asText(guest?.['name']),
    qemu: asText(qemu?.['version']),
    commandLine: asTexts(facts['commandLine']),
    sessions: sessions.map((one) =>
      defined({
        startedAt: asText(one['startedAt']),
        forks: asNumber(one['forks']),
        end: asText(one['end']),
        message: asText(one['message']),
      }),
    ),
  }) as RunDescription;
}

function factsOfVm(facts: Json): Fact[] {
  const [guest, qemu, accelerator] = [
    asObject(facts['guest']),
    asObject(facts['qemu']),
    asObject(facts['accelerator']),
  ];
  const memory = asNumber(facts['memoryMiB']);
  return listed({
    'Guest': asText(guest?.['name']),
    'Guest kernel': asText(guest?.['kernelRelease']),
    'Guest image': asText(guest?.['key']),
    'QEMU': joined(' ', asText(qemu?.['version']), bracketed(asText(qemu?.['path']))),
    'Accelerator': joined(': ', asText(accelerator?.['accelerator'])?.toUpperCase(), asText(accelerator?.['reason'])),
    'Accelerator proved': asText(accelerator?.['provenAt']),
    'Machine': joined(
      ', ',
      asText(facts['machine']),
      labelled('CPU', facts['cpu']),
      labelled('vCPUs', facts['cpus']),
      memory === undefined ? undefined : `${memory} MiB`,
    ),
  });
}

function factsOfHost(environment: Json): Fact[] {
  const memory = asNumber(environment['memoryMiB']);
  return listed({
    'qmpilot': asText(environment['qmpilot']),
    'Node.js': asText(environment['node']),
    'Host': asText(environment['host']),
    'Host CPU': joined(', ', labelled('CPUs', environment['cpus']), asText(environment['cpuModel'])),
    'Host memory': memory === undefined ? undefined : `${memory} MiB`,
  });
}

function factsOfRun(run: Json): Fact[] {
  const source = asObject(run['source']);
  const limit = asNumber(run['timeoutMs']);
  const forks = asNumber(asObjects(run['sessions']).at(-1)?.['forks']);
  return listed({
    'Scenario': asText(source?.['file']) ?? asText(run['name']),
    'Scenario SHA-256': asText(source?.['sha256']),
    'Seed': asNumber(run['seed'])?.toString(),
    'Parallel forks': forks?.toString(),
    'Limit of an attempt': limit === undefined ? undefined : duration(limit),
    'Until': asText(run['until']),
    'Started': asText(run['startedAt']),
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
const labelled = (name: string, value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? `${value} ${name}` : undefined;

/** Reads attempts.jsonl: each index once, by index. Lines that are no attempts are counted; a last one may have been cut off. */
export function parseAttemptLines(text: string): {
  readonly attempts: readonly AttemptRecord[];
  readonly damaged: number;
} {
  const { objects, damaged } = parseJsonLines(text);
  const records = new Map<number, AttemptRecord>();
  let wrong = damaged;
  for (const value of objects) {
    const record = attemptRecord(value);
    if (record === undefined) wrong += 1;
    else if (!records.has(record.index)) records.set(record.index, record);
  }
  return { attempts: [...records.values()].toSorted((one, other) => one.index - other.index), damaged: wrong };
}

function attemptRecord(value: Json): AttemptRecord | undefined {
  const { index, outcome } = value;
  if (!Number.isSafeInteger(index) || Number(index) < 1) return undefined;
  if (outcome !== 'reproduced' && outcome !== 'clean' && outcome !== 'inconclusive') return undefined;
  const findings = Array.isArray(value['findings']) ? value['findings'].flatMap((one) => parseFinding(one) ?? []) : [];
  return defined({
    v: 1 as const,
    type: 'attempt' as const,
    index: Number(index),
    outcome,
    reason: asText(value['reason']),
    startedAt: asText(value['startedAt']) ?? '',
    ms: Math.max(0, asNumber(value['ms']) ?? 0),
    restoreMs: Math.max(0, asNumber(value['restoreMs']) ?? 0),
    timeToFailureMs: asNumber(value['timeToFailureMs']),
    seed: asNumber(value['seed']) ?? 0,
    fork: asNumber(value['fork']),
    findings: findings.map((finding) => ({ ...finding, times: finding.times })),
  }) as AttemptRecord;
}

/** A finding of a journal; undefined when it has no title. */
export function parseFinding(value: unknown): (Finding & { readonly times: number }) | undefined {
  const finding = asObject(value);
  const title = asText(finding?.['title']);
  if (finding === undefined || title === undefined) return undefined;
  const severity = finding['severity'];
  const task = asObject(finding['task']);
  const [comm, pid] = [asText(task?.['comm']), asNumber(task?.['pid'])];
  const stack = finding['stack'] === undefined ? undefined : asObjects(finding['stack']);
  return defined({
    ...finding,
    kind: asText(finding['kind']) ?? 'unknown',
    severity: severity === 'warning' || severity === 'info' ? severity : ('error' as const),
    title,
    signature: asText(finding['signature']) ?? title,
    at: Math.max(0, asNumber(finding['at']) ?? 0),
    task: comm === undefined || pid === undefined ? undefined : defined({ comm, pid, tgid: asNumber(task?.['tgid']) }),
    stack: stack?.map((frame) => ({
      function: asText(frame['function']) ?? '?',
      raw: asText(frame['raw']) ?? asText(frame['function']) ?? '?',
      ...(frame['uncertain'] === true && { uncertain: true }),
    })),
    evidence: asTexts(finding['evidence']),
    times: Math.max(1, asNumber(finding['times']) ?? 1),
  }) as Finding & { readonly times: number };
}

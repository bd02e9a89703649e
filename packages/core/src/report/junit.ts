import type { AttemptRecord } from '../run-files/attempt-record.js';
import { incidentsOf, type Incident } from '../run-files/incidents/incidents.js';
import type { RunFile } from '../run-files/run-file.js';
import { xmlAttributes, xmlText } from './xml.js';

const MAX_LINES = 60;

/**
 * The attempts as JUnit's XML, which CI systems show: one test case each. A reproduced attempt is a failure, an inconclusive one
 * an error. Valid by the schemas of Jenkins and of Ant's reports, the strictest there is: hence `package`, `id` and the empty streams.
 */
export function toJUnit(run: RunFile, records: readonly AttemptRecord[]): string {
  const sorted = records.toSorted((one, other) => one.index - other.index);
  const count = (outcome: AttemptRecord['outcome']) => sorted.filter((record) => record.outcome === outcome).length;
  const totals = {
    tests: sorted.length,
    failures: count('reproduced'),
    errors: count('inconclusive'),
    time: seconds(sorted.reduce((sum, { ms }) => sum + ms, 0)),
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite${xmlAttributes({ name: nameOf(run), package: 'qmpilot', id: 0, hostname: 'localhost', timestamp: timestamp(run.startedAt), ...totals })}>`,
    '    <properties>',
    ...Object.entries(properties(run)).flatMap(([name, value]) =>
      value === undefined ? [] : [`      <property${xmlAttributes({ name, value })}/>`],
    ),
    '    </properties>',
    ...sorted.map((record) => testCase(run, record)),
    '    <system-out/>',
    '    <system-err/>',
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function properties({
  seed,
  attempts,
  shard,
  until,
  source,
  facts,
}: RunFile): Readonly<Record<string, string | number | undefined>> {
  return {
    seed,
    attempts,
    shard: shard && `${shard.index}/${shard.count}`,
    until,
    scenario: source?.file,
    sha256: source?.sha256,
    guest: facts?.guest.name,
    kernel: facts?.guest.kernelRelease,
    qemu: facts?.qemu.version,
    accelerator: facts?.accelerator.accelerator,
  };
}

function testCase(run: RunFile, record: AttemptRecord): string {
  const open = `    <testcase${xmlAttributes({ name: `attempt ${record.index}`, classname: nameOf(run), time: seconds(record.ms) })}`;
  if (record.outcome === 'clean') return `${open}/>`;
  const incidents = incidentsOf(record).toSorted(
    (one, other) => Number(other.severity === 'error') - Number(one.severity === 'error'),
  );
  const first = incidents.find(({ severity }) => severity === 'error');
  const body =
    record.outcome === 'inconclusive' || first === undefined
      ? element('error', record.reason ?? 'inconclusive', 'inconclusive', record.reason ?? '')
      : element('failure', first.title, first.kind, details(record, incidents));
  return `${open}>\n${body}\n    </testcase>`;
}

function element(name: string, message: string, type: string, text: string): string {
  return `      <${name}${xmlAttributes({ message, type })}>${xmlText(text)}</${name}>`;
}

function details({ seed }: AttemptRecord, incidents: readonly Incident[]): string {
  const lines = incidents.flatMap(({ title, severity, explained, findings }) => {
    const together = explained || findings.length > 1;
    const indent = together ? '  ' : '';
    return [
      ...(together ? [`${severity}: ${title}`] : []),
      ...findings.flatMap((finding) => findingLines(finding).map((line) => `${indent}${line}`)),
    ];
  });
  const more = lines.length - MAX_LINES;
  return [
    `seed ${seed}`,
    ...lines.slice(0, MAX_LINES),
    ...(more > 0 ? [`(${more} more lines in findings.json)`] : []),
  ].join('\n');
}

function findingLines({ severity, title, at, times, evidence }: AttemptRecord['findings'][number]): string[] {
  return [
    `${severity}: ${title}, at ${seconds(at)} s${times > 1 ? `, ${times} times` : ''}`,
    ...evidence.map((line) => `  ${line}`),
  ];
}

const nameOf = ({ name }: RunFile) => name.trim() || 'run';

/** UTC without a zone, as the schema has it; a run whose beginning is not known began at the epoch. */
function timestamp(iso: string): string {
  const at = new Date(iso);
  return new Date(Number.isNaN(at.getTime()) ? 0 : at).toISOString().slice(0, 19);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

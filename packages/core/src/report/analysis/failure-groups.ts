import type { Finding, Severity } from '../../detect/finding.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { attemptsOf, groupIncidents, type IncidentGroup } from '../../run-files/incidents/incident-groups.js';
import { median } from '../../statistics/median.js';

/** Findings of the same signature over all attempts. */
export interface FindingGroup {
  readonly signature: string;
  /** Without pids. */
  readonly title: string;
  readonly kind: string;
  readonly severity: Severity;
  readonly attempts: readonly number[];
  /** When it was first seen in an attempt: the median, in ms. */
  readonly medianAt: number | null;
  /** One of the findings: the first that has a stack, if any. */
  readonly example: Finding;
  readonly exampleAttempt: number;
}

/** One kind of failure over all attempts: its incidents. */
export interface FailureGroup extends FindingGroup {
  /** The title is the root that explanations name: `example` is the finding that is closest to it. */
  readonly explained: boolean;
  /** The other findings of the incidents; with `explained`, all of them. Most frequent first. */
  readonly symptoms: readonly FindingGroup[];
}

type Seen = readonly { readonly attempt: number; readonly finding: Finding }[];

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info'];

/** The failures of a run, errors first, then by frequency. */
export function groupFailures(attempts: readonly AttemptRecord[]): FailureGroup[] {
  return groupIncidents(attempts)
    .flatMap(failureGroup)
    .toSorted(
      (one, other) =>
        rank(one.severity) - rank(other.severity) ||
        other.attempts.length - one.attempts.length ||
        (one.medianAt ?? 0) - (other.medianAt ?? 0) ||
        compare(one.signature, other.signature),
    );
}

const rank = (severity: Severity) => SEVERITIES.indexOf(severity);
const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);

function failureGroup(group: IncidentGroup): FailureGroup[] {
  const { signature, title, seen, symptoms } = group;
  const explained = seen.some(({ incident }) => incident.explained && incident.signature === signature);
  // Findings like the one that leads an incident: the kernel may print the trace only the second time, or in another attempt.
  const leading = seen.flatMap(({ attempt, incident }) =>
    incident.findings
      .filter((finding) => finding.signature === (explained ? incident.findings[0].signature : signature))
      .map((finding) => ({ attempt, finding })),
  );
  return findingGroup(signature, title, leading).map((own) => ({
    ...own,
    attempts: attemptsOf(group),
    medianAt: median(seen.map(({ incident }) => Math.min(...incident.findings.map(({ at }) => at)))),
    explained,
    symptoms: symptoms.flatMap((symptom) => findingGroup(symptom.signature, symptom.title, symptom.seen)),
  }));
}

function findingGroup(signature: string, title: string, seen: Seen): FindingGroup[] {
  const first = seen.find(({ finding }) => (finding.stack?.length ?? 0) > 0) ?? seen[0];
  if (first === undefined) return [];
  const { attempt, finding } = first;
  const starts = new Map(seen.toReversed().map((one) => [one.attempt, one.finding.at]));
  return [
    {
      signature,
      title,
      kind: finding.kind,
      severity: finding.severity,
      attempts: attemptsOf({ seen }),
      medianAt: median([...starts.values()]),
      example: finding,
      exampleAttempt: attempt,
    },
  ];
}

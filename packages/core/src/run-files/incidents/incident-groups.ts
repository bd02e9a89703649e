import type { AttemptRecord } from '../attempt-record.js';
import { generalTitle } from './general-title.js';
import { incidentsOf, type Incident } from './incidents.js';

type Recorded = AttemptRecord['findings'][number];

/** Findings with the same signature, over the attempts of a run. */
export interface SymptomGroup {
  readonly signature: string;
  /** Without pids. */
  readonly title: string;
  /** By attempt, and by time within one. */
  readonly seen: readonly { readonly attempt: number; readonly finding: Recorded }[];
}

/** One failure over the attempts of a run. */
export interface IncidentGroup {
  readonly signature: string;
  readonly title: string;
  /** One of each attempt with this failure, in the order of the attempts. */
  readonly seen: readonly { readonly attempt: number; readonly incident: Incident }[];
  /** The findings of these incidents, most frequent first, then by time; without the one that gives the title. */
  readonly symptoms: readonly SymptomGroup[];
}

/** Kinds that any hang may lead to: they do not show that two attempts failed in the same way. */
const CONSEQUENCES: ReadonlySet<string> = new Set(['poweroff-stall', 'silence', 'kernel-panic']);

interface Draft {
  readonly signature: string;
  readonly seen: { readonly attempt: number; readonly incident: Incident }[];
}

/**
 * Groups the incidents of a run by signature. An attempt may lack a finding, or the explanation that names the root: an incident whose title is
 * a symptom of one other failure of the run counts to that one.
 */
export function groupIncidents(
  attempts: readonly Pick<AttemptRecord, 'index' | 'findings' | 'explanation'>[],
): IncidentGroup[] {
  const drafts = new Map<string, Draft>();
  for (const attempt of attempts) {
    for (const incident of incidentsOf(attempt)) {
      const draft = drafts.get(incident.signature) ?? { signature: incident.signature, seen: [] };
      drafts.set(incident.signature, draft);
      draft.seen.push({ attempt: attempt.index, incident });
    }
  }
  const sorted = [...drafts.values()].toSorted(byRoot);
  const targets = new Map(sorted.map((draft, place) => [draft, targetOf(draft, sorted.slice(0, place))]));
  const ends = new Map<Draft, Draft[]>();
  for (const draft of sorted) {
    let end = draft;
    for (let next = targets.get(end); next !== undefined; next = targets.get(end)) end = next;
    ends.set(end, [...(ends.get(end) ?? []), draft]);
  }
  return [...ends].map(([end, parts]) =>
    grouped(
      end,
      parts.flatMap(({ seen }) => seen),
    ),
  );
}

function byRoot(one: Draft, other: Draft): number {
  return (
    Number(isExplained(other)) - Number(isExplained(one)) ||
    other.seen.length - one.seen.length ||
    (one.signature < other.signature ? -1 : 1)
  );
}

const isExplained = ({ seen }: Draft) => seen.some(({ incident }) => incident.explained);

function targetOf(draft: Draft, before: readonly Draft[]): Draft | undefined {
  if (isExplained(draft) || draft.seen.some(({ incident }) => CONSEQUENCES.has(incident.kind))) return undefined;
  const having = before.filter(({ seen }) =>
    seen.some(({ incident }) => incident.findings.some(({ signature }) => signature === draft.signature)),
  );
  return having.length === 1 ? having[0] : undefined;
}

function grouped({ signature, seen: own }: Draft, all: Draft['seen']): IncidentGroup {
  const incidents = new Map<number, Draft['seen'][number]>();
  for (const one of [...own, ...all]) if (!incidents.has(one.attempt)) incidents.set(one.attempt, one);
  const [first] = own;
  // Whether the owner left the lock for good shows only in some moments.
  const sure = own.find(({ incident }) => incident.title.includes(' left locked by ')) ?? first;
  return {
    signature,
    title: sure?.incident.title ?? signature,
    seen: [...incidents.values()].toSorted((one, other) => one.attempt - other.attempt),
    symptoms: symptomsOf(all).filter((symptom) => symptom.signature !== signature),
  };
}

function symptomsOf(seen: Draft['seen']): SymptomGroup[] {
  const symptoms = new Map<string, { readonly title: string; readonly seen: SymptomGroup['seen'][number][] }>();
  for (const { attempt, incident } of seen) {
    for (const finding of incident.findings.toSorted((one, other) => one.at - other.at)) {
      const { signature, title, kind } = finding;
      const known = symptoms.get(signature) ?? { title: generalTitle(title, kind), seen: [] };
      symptoms.set(signature, known);
      known.seen.push({ attempt, finding });
    }
  }
  return [...symptoms]
    .map(([signature, { title, seen: all }]) => ({
      signature,
      title,
      seen: all.toSorted((one, other) => one.attempt - other.attempt || one.finding.at - other.finding.at),
    }))
    .toSorted((one, other) => attemptsOf(other).length - attemptsOf(one).length);
}

/** The attempts of a failure or a symptom, each once. */
export function attemptsOf({ seen }: { readonly seen: readonly { readonly attempt: number }[] }): number[] {
  return [...new Set(seen.map(({ attempt }) => attempt))];
}

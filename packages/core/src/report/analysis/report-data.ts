import type { WhenResult } from '../../run-files/when-file.js';
import { analyze, type RunAnalysis } from './analysis.js';
import { compareRuns, type Comparison } from './comparison.js';
import type { FindingGroup } from './failure-groups.js';
import { goalResult, type GoalResult } from './goal.js';
import type { RunInput } from './input.js';

/** The numbers as plain JSON. Text of the guest in it is as it came. */
export interface ReportData {
  readonly v: 1;
  readonly type: 'report';
  readonly runs: readonly RunData[];
  /** Each further run against the first. */
  readonly comparisons: readonly Comparison[];
}

/** A failure, or one of its symptoms, and the attempts that had it. */
export interface FailureData {
  readonly signature: string;
  /** Without pids. */
  readonly title: string;
  readonly kind: string;
  readonly severity: string;
  readonly attempts: readonly number[];
}

/** The numbers of one run. */
export interface RunData {
  readonly label: string;
  readonly dir: string;
  readonly name: string;
  readonly attempts: number;
  readonly reproduced: number;
  readonly clean: number;
  readonly inconclusive: number;
  readonly rate: number | null;
  readonly interval: readonly [number, number] | null;
  readonly upperBound: number | null;
  /** The result of the run's `--until`. */
  readonly goal: GoalResult | null;
  readonly medianTimeToFailureMs: number | null;
  readonly timePerFailureMs: number | null;
  readonly cleanAttemptsToShowFix: number | null;
  /** Kaplan-Meier: `[ms, share that has not failed]`. */
  readonly survival: readonly (readonly [number, number])[];
  /** Incidents by signature, each with the findings that belong to it. */
  readonly failures: readonly (FailureData & { readonly symptoms: readonly FailureData[] })[];
  /** Of attempts with a hang: who is stuck, and who holds what they wait for. */
  readonly explanations: readonly { readonly attempt: number; readonly sentences: readonly string[] }[];
  /** The curves of `qmpilot when`. */
  readonly when: readonly WhenResult[];
  readonly notes: readonly string[];
}

/** All numbers of a report as data, for `--json` and other programs. */
export function reportData(inputs: readonly RunInput[]): ReportData {
  const analyses = inputs.map(analyze);
  return {
    v: 1,
    type: 'report',
    runs: inputs.flatMap((input, index) => {
      const analysis = analyses[index];
      return analysis === undefined ? [] : [runData(input, analysis)];
    }),
    comparisons: compareRuns(analyses),
  };
}

function runData(input: RunInput, analysis: RunAnalysis): RunData {
  const { label, dir, run, notes } = input;
  return {
    label,
    dir,
    name: run.name,
    attempts: analysis.total,
    reproduced: analysis.failures,
    clean: analysis.clean,
    inconclusive: analysis.inconclusive,
    rate: analysis.rate,
    interval: analysis.interval,
    upperBound: analysis.upperBound,
    goal: goalResult(input),
    medianTimeToFailureMs: analysis.medianTimeToFailure,
    timePerFailureMs: analysis.timePerFailure,
    cleanAttemptsToShowFix: analysis.cleanToShowFix,
    survival: analysis.survival.steps
      .filter(({ failures }) => failures > 0)
      .map(({ time, survival }) => [time, survival] as const),
    failures: analysis.groups.map((group) => ({ ...failureData(group), symptoms: group.symptoms.map(failureData) })),
    explanations: input.attempts.flatMap(({ index, explanation }) =>
      explanation === undefined ? [] : [{ attempt: index, sentences: explanation }],
    ),
    when: input.when ?? [],
    notes,
  };
}

function failureData({ signature, title, kind, severity, attempts }: FindingGroup): FailureData {
  return { signature, title, kind, severity, attempts };
}

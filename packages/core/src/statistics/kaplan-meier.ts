import { quantileOfConfidence } from './normal.js';

/** One attempt: how long it was watched, and whether it failed then. One that did not is censored: it says "not until here". */
export interface Observation {
  readonly time: number;
  readonly failed: boolean;
}

/** The curve from one failure to the next. */
export interface SurvivalStep {
  readonly time: number;
  readonly atRisk: number;
  readonly failures: number;
  readonly censored: number;
  /** Share that has not failed after this time. */
  readonly survival: number;
  /** Of the survival: on the log-log scale with Greenwood's variance, so that it stays between 0 and 1. */
  readonly interval: readonly [number, number];
}

/** How long attempts lasted without a failure, with its interval. */
export interface SurvivalCurve {
  /** One step for each time at which something failed or was censored, in order. */
  readonly steps: readonly SurvivalStep[];
  /** The first time at which half or more have failed; null when the curve ends above one half. */
  readonly median: number | null;
  /** Brookmeyer and Crowley's interval of the median: null where the curve's own interval never crosses one half. */
  readonly medianInterval: readonly [number | null, number | null];
}

/** The product-limit estimate of E. L. Kaplan and P. Meier, JASA 53 (1958). `confidence` is 0.95 unless said otherwise. */
export function kaplanMeier(observations: readonly Observation[], confidence = 0.95): SurvivalCurve {
  const z = quantileOfConfidence(confidence);
  const steps: SurvivalStep[] = [];
  let [atRisk, survival, greenwood] = [observations.length, 1, 0];
  for (const [time, { failures, censored }] of countByTime(observations)) {
    // Who is censored at the moment of a failure was still at risk then.
    survival *= 1 - failures / atRisk;
    greenwood += failures / (atRisk * (atRisk - failures));
    steps.push({ time, atRisk, failures, censored, survival, interval: logLogInterval(survival, greenwood, z) });
    atRisk -= failures + censored;
  }
  const firstBelow = (value: (step: SurvivalStep) => number) =>
    steps.find((step) => value(step) <= 0.5 + 1e-12)?.time ?? null;
  return {
    steps,
    median: firstBelow((step) => step.survival),
    medianInterval: [firstBelow((step) => step.interval[0]), firstBelow((step) => step.interval[1])],
  };
}

function countByTime(observations: readonly Observation[]): [number, { failures: number; censored: number }][] {
  const counts = new Map<number, { failures: number; censored: number }>();
  for (const { time, failed } of observations) {
    const count = counts.get(time) ?? { failures: 0, censored: 0 };
    if (failed) count.failures += 1;
    else count.censored += 1;
    counts.set(time, count);
  }
  return [...counts].toSorted(([one], [other]) => one - other);
}

function logLogInterval(survival: number, greenwood: number, z: number): [number, number] {
  if (survival >= 1) return [1, 1];
  if (survival <= 1e-15) return [0, 0];
  const spread = (z * Math.sqrt(greenwood)) / Math.log(survival);
  return [survival ** Math.exp(-spread), survival ** Math.exp(spread)];
}

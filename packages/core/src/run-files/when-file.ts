import * as v from 'valibot';
import { parseJson } from './salvage.js';

const text = v.string();
const number = v.pipe(v.number(), v.finite());
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const share = v.pipe(number, v.minValue(0), v.maxValue(1));

const POINT_SCHEMA = v.object({
  place: v.picklist(['start', 'checkpoint', 'failure']),
  number: v.exactOptional(whole),
  at: number,
  mark: v.exactOptional(text),
  failures: whole,
  attempts: whole,
  inconclusive: whole,
  probability: v.nullable(share),
  interval: v.nullable(v.tuple([share, share])),
});

/** when.json of an attempt. */
const WHEN_SCHEMA = v.object({
  v: v.literal(1),
  type: v.literal('when'),
  attempt: whole,
  failure: v.object({ title: text, signature: text, at: number }),
  verdict: v.picklist(['confirmed', 'unconfirmed', 'decided']),
  limited: v.boolean(),
  confidence: share,
  points: v.array(POINT_SCHEMA),
  rise: v.exactOptional(
    v.object({
      from: whole,
      to: whole,
      checkpoint: v.exactOptional(text),
    }),
  ),
  interval: v.exactOptional(
    v.object({
      console: v.array(text),
      events: v.array(v.object({ at: number, text })),
    }),
  ),
  forks: whole,
  inconclusive: whole,
  notes: v.array(text),
});

/** A point of the curve: the beginning of all attempts, a checkpoint, or the failure. */
export interface WhenPoint {
  readonly place: 'start' | 'checkpoint' | 'failure';
  /** Of the checkpoint. */
  readonly number?: number;
  /** In ms since the attempt began. */
  readonly at: number;
  /** What the scenario calls this moment. */
  readonly mark?: string;
  /** Forks that failed; of the start, attempts of the run. */
  readonly failures: number;
  /** Those with a verdict. */
  readonly attempts: number;
  readonly inconclusive: number;
  /** `failures / attempts`; null when there are none, and 1 at the failure. */
  readonly probability: number | null;
  /** 95 % Wilson interval; null when there are no attempts. */
  readonly interval: readonly [number, number] | null;
}

/** When a failure became probable: the curve of an attempt, and where it rises. */
export interface WhenResult {
  readonly v: 1;
  readonly type: 'when';
  /** The failing attempt that was looked at. */
  readonly attempt: number;
  /** Its first failure; `at` is when it was found, in ms. */
  readonly failure: { readonly title: string; readonly signature: string; readonly at: number };
  /**
   * `confirmed`: forks that were made after the rise was found show it. `unconfirmed`: they do not, or are too few. `decided`: the failure is as
   * probable at the first checkpoint as at the last.
   */
  readonly verdict: 'confirmed' | 'unconfirmed' | 'decided';
  /** The limit of forks was reached. */
  readonly limited: boolean;
  readonly confidence: number;
  /** In the order of their times. */
  readonly points: readonly WhenPoint[];
  /** The biggest rise: indices of `points`, and the path of the checkpoint before it in the run directory. */
  readonly rise?: { readonly from: number; readonly to: number; readonly checkpoint?: string };
  /** What the failing attempt did during the rise. */
  readonly interval?: {
    readonly console: readonly string[];
    readonly events: readonly { readonly at: number; readonly text: string }[];
  };
  readonly forks: number;
  readonly inconclusive: number;
  /** What limits the answer, as sentences. */
  readonly notes: readonly string[];
}

/** The folder of an attempt with the forks of its checkpoints, and its files. */
export const WHEN_FOLDER = 'when';
export const WHEN_FILE = 'when.json';

/** Reads when.json; undefined when it is damaged. */
export function parseWhen(json: string): WhenResult | undefined {
  const value = parseJson(json);
  return v.is(WHEN_SCHEMA, value) ? value : undefined;
}

import { deflateRawSync } from 'node:zlib';
import { safeLine } from '../../util/text/text-hygiene.js';
import type { FailureGroup } from '../analysis/failure-groups.js';
import type { AttemptEvidence, RunInput } from '../analysis/input.js';

/** Data for the script of the page. Text may come from the guest; `blob`s are deflated and in base64. */
export interface PageData {
  readonly v: 1;
  readonly runs: readonly PageRun[];
}

/** Columns: the nth entry of each belongs to the nth attempt. */
export interface PageRun {
  readonly label: string;
  readonly index: readonly number[];
  /** One letter each: r reproduced, c clean, i inconclusive. */
  readonly outcome: string;
  readonly ms: readonly number[];
  readonly failedAt: readonly (number | null)[];
  readonly restoreMs: readonly number[];
  /** Which of `titles` were seen. */
  readonly seen: readonly (readonly number[])[];
  readonly titles: readonly string[];
  /** Reasons of inconclusive attempts, by index. */
  readonly reasons: Readonly<Record<number, string>>;
  readonly folders: readonly string[];
  /** The console's bytes before the attempts; empty when they were not kept. */
  readonly prologue: string;
  readonly evidence: Readonly<Record<number, PageEvidence>>;
}

export interface PageEvidence {
  /** The console's bytes. */
  readonly console: string;
  /** JSON of PageDetails. */
  readonly details: string;
}

/** AttemptEvidence without the console. */
export type PageDetails = Omit<AttemptEvidence, 'console'>;

const LETTER = { reproduced: 'r', clean: 'c', inconclusive: 'i' } as const;

export function pageRun(input: RunInput, groups: readonly FailureGroup[]): PageRun {
  const { attempts } = input;
  const seen = new Map(attempts.map(({ index }) => [index, new Array<number>()]));
  for (const [id, group] of groups.entries()) for (const index of group.attempts) seen.get(index)?.push(id);
  const whole = (ms: number) => Math.round(ms);
  return {
    label: safeLine(input.label),
    index: attempts.map(({ index }) => index),
    outcome: attempts.map(({ outcome }) => LETTER[outcome]).join(''),
    ms: attempts.map(({ ms }) => whole(ms)),
    failedAt: attempts.map(({ timeToFailureMs }) => (timeToFailureMs === undefined ? null : whole(timeToFailureMs))),
    restoreMs: attempts.map(({ restoreMs }) => whole(restoreMs)),
    seen: attempts.map(({ index }) => seen.get(index) ?? []),
    titles: groups.map(({ title }) => safeLine(title)),
    reasons: Object.fromEntries(
      attempts.flatMap(({ index, reason }) => (reason === undefined ? [] : [[index, safeLine(reason)]])),
    ),
    folders: attempts.map(({ index }) => input.folder(index)),
    prologue: input.prologue === undefined ? '' : packed(input.prologue),
    evidence: Object.fromEntries([...input.evidence].map(([index, evidence]) => [index, pageEvidence(evidence)])),
  };
}

function packed(bytes: Uint8Array): string {
  return deflateRawSync(bytes, { level: 9 }).toString('base64');
}

function pageEvidence({ console, ...details }: AttemptEvidence): PageEvidence {
  return { console: packed(console), details: packed(Buffer.from(JSON.stringify(details satisfies PageDetails))) };
}

import type { Candidate } from '../../detect/finding.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';

/** The part of a watch that `awaitDecisions` needs. */
export interface CandidateSource {
  /** Takes a sample, so that a thread that has just entered D state is a candidate as well. */
  sampleNow(): Promise<void>;
  candidates(): readonly Candidate[];
  /** The clock of `Candidate.dueAt`, in ms. */
  now(): number;
  /** Resolves when nothing can be decided any more: QEMU has ended, or the watch was stopped. */
  readonly ended: Promise<unknown>;
}

/** Between two looks at the candidates. */
const INTERVAL_MS = 100;
/** Extra time for overdue candidates: one sample of a busy guest may take this long. */
const OVERDUE_MS = 30_000;

/**
 * Waits until each candidate of now has become a finding or has ended.
 * @returns those that are still there 30 s after they were due
 */
export function awaitDecisions(source: CandidateSource, options: WaitOptions): Promise<readonly Candidate[]> {
  let open: readonly Candidate[] = [];
  const awaited = 'the end of pending failures';
  const details = () => (open.length > 0 ? { evidence: { candidates: open.map(({ title }) => title) } } : {});
  return awaitWithin<readonly Candidate[]>({ awaited, details }, options, (resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    void source.ended.then(() => resolve([]));
    void source.sampleNow().then(() => {
      if (isOver) return;
      open = source.candidates();
      const until = Math.max(...open.map(({ dueAt }) => dueAt ?? source.now())) + OVERDUE_MS;
      const look = () => {
        const present = new Set(source.candidates().map(identity));
        open = open.filter((candidate) => present.has(identity(candidate)));
        if (open.length === 0 || source.now() >= until) resolve(open);
      };
      look();
      if (!isOver) timer = setInterval(look, INTERVAL_MS);
    });
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  });
}

/** A thread that has run and sleeps again is another candidate. */
function identity({ id, since }: Candidate): string {
  return `${id} ${since}`;
}

import { cleanAttemptsNeededAfter } from '../statistics/attempts-needed.js';
import type { Count } from '../statistics/count.js';
import { fisherExact } from '../statistics/fisher.js';
import type { Range } from './git/range.js';
import type { BisectRevert } from './result.js';
import type { Tries } from './tries.js';

const CONFIDENCE = 0.95;
const MIN_ATTEMPTS = 8;
const MAX_ATTEMPTS = 200;

/** Makes fresh attempts at the bad end without the culprit, if it reverts cleanly there; undefined for kernels, which have no reverts. */
export async function tryRevert(
  tries: Tries,
  { repository, bad }: Range,
  culprits: readonly { readonly commit: string }[],
): Promise<BisectRevert | undefined> {
  if (!repository) return undefined;
  const [culprit] = culprits;
  if (culprit === undefined || culprits.length > 1) return { reason: 'the answer is several commits' };
  const { length } = await repository.parents(culprit.commit);
  if (length > 1) return { reason: 'the culprit is a merge' };
  const before = tries.countOf(bad);
  const needed = before.failures === 0 ? MAX_ATTEMPTS : cleanAttemptsNeededAfter(before, CONFIDENCE);
  const wanted = Math.min(Math.max(needed, MIN_ATTEMPTS), MAX_ATTEMPTS);
  const tried = await tries.tryReverted(bad, culprit.commit, wanted);
  if ('skipped' in tried) return { reason: tried.skipped };
  const seen: Count = { failures: tried.failed.filter(Boolean).length, attempts: tried.failed.length };
  return { ...seen, isLower: fisherExact(seen, before).less <= 1 - CONFIDENCE };
}

import { isQmpilotError, parseDuration } from '@qmpilot/core';
import fc from 'fast-check';

/** Of each test. Cases are counted, so that a slow host tries as much as a fast one. */
const CASES = Number(process.env['QMPILOT_FUZZ_CASES'] ?? 100);
/** `pnpm test:fuzz --time 10m`: continue with further cases for so long. */
const TIME_MS = parseDuration(process.env['QMPILOT_FUZZ_TIME'] ?? 0);

/** A guard only: a case takes milliseconds. */
export const LIMIT = TIME_MS + 600_000;

type Property = fc.IProperty<unknown> | fc.IAsyncProperty<unknown>;

/**
 * Tries `CASES` cases, and as many again until the time is over; of a property whose cases wait, a `share` of them. A failure prints
 * the seed and the smallest input that fails.
 */
export async function fuzz(property: Property, { share = 1 } = {}): Promise<void> {
  const numRuns = Math.max(1, Math.round(CASES * share));
  const end = performance.now() + TIME_MS;
  do await fc.assert(property, { numRuns });
  while (performance.now() < end);
}

/** Anything but an error of the family is a defect. */
export function onlyFamily(task: () => unknown): void {
  try {
    task();
  } catch (error) {
    if (!isQmpilotError(error)) throw error;
  }
}

import { isQmpilotError, parseDuration } from '@qmpilot/core';

/** Of each test: `pnpm test:fuzz --time 10m`. */
const TIME_MS = parseDuration(process.env['QMPILOT_FUZZ_TIME'] ?? '1s');
export const parameters = { numRuns: Infinity, interruptAfterTimeLimit: TIME_MS, markInterruptAsFailure: false };
export const LIMIT = TIME_MS + 60_000;

/** Anything but an error of the family is a defect. */
export function onlyFamily(task: () => unknown): void {
  try {
    task();
  } catch (error) {
    if (!isQmpilotError(error)) throw error;
  }
}

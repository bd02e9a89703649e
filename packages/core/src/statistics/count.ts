import { QmpilotError } from '../errors.js';

/** Attempts that came to a verdict, and how many of them failed. */
export interface Count {
  readonly failures: number;
  readonly attempts: number;
}

/** @throws {USAGE} for an invalid count, such as 5 failures in 3 attempts, which a test would call certain */
export function checkCount({ failures, attempts }: Count): void {
  if (Number.isSafeInteger(failures) && Number.isSafeInteger(attempts) && failures >= 0 && failures <= attempts) return;
  throw new QmpilotError('USAGE', `invalid count: ${failures} failures in ${attempts} attempts`, {
    hint: 'give whole numbers, and not more failures than attempts',
  });
}

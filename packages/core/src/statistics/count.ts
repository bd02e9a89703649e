import { QmpilotError } from '../errors.js';

/** Attempts that came to a verdict, and how many of them failed. */
export interface Count {
  readonly failures: number;
  readonly attempts: number;
}

/** @throws {USAGE} for what cannot have been counted: of 3 attempts 5 do not fail, and a test of that would call it a sure thing */
export function checkCount({ failures, attempts }: Count): void {
  if (Number.isSafeInteger(failures) && Number.isSafeInteger(attempts) && failures >= 0 && failures <= attempts) return;
  throw new QmpilotError('USAGE', `${failures} of ${attempts} cannot have been counted`, {
    hint: 'failures and attempts are whole numbers, and no more fail than were made',
  });
}

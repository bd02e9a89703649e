import { QmpilotError } from '../errors.js';

/** Names an error in one text: its code, or that the scenario threw it. */
export function explainError(error: unknown): string {
  if (error instanceof QmpilotError) return `${error.code}: ${error.message}`;
  return error instanceof Error
    ? `the scenario threw ${error.name}: ${error.message}`
    : `the scenario threw ${String(error)}`;
}

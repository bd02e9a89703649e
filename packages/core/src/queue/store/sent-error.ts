import { isQmpilotError, QmpilotError, type ErrorCode } from '../../errors.js';
import type { SentError } from './messages.js';

/** Lines of evidence that travel with an error. */
const MAX_LINES = 40;

export function toSentError(error: unknown): SentError {
  if (!isQmpilotError(error))
    return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  const { code, message, hint, evidence } = error;
  return {
    code,
    message,
    ...(hint !== undefined && { hint }),
    ...(evidence.console && { console: evidence.console.slice(-MAX_LINES) }),
    ...(evidence.stderr && { stderr: evidence.stderr.slice(-MAX_LINES) }),
  };
}

/** `where` is put in front of the message. */
export function fromSentError({ code, message, hint, ...evidence }: SentError, where = ''): QmpilotError {
  // Both sides are of one version, and know the same codes.
  return new QmpilotError(code as ErrorCode, `${where}${message}`, { ...(hint !== undefined && { hint }), evidence });
}

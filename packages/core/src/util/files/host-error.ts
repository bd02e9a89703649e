import { QmpilotError, type ErrorDetails } from '../../errors.js';

/** The system call errors that mean "no more of a resource": disk space, quota, memory, file descriptors. */
const NO_SPACE_CODES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENOMEM']);

/** Returns the `code` of a system call error (`ENOENT`), and undefined for any other value. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code)
    ? error.code
    : undefined;
}

/** Returns whether the host ran out of disk space, quota, memory or file descriptors. */
export function isNoSpace(error: unknown): boolean {
  return NO_SPACE_CODES.has(errnoOf(error) ?? '');
}

/** Wraps the error of a system call: NO_SPACE when the host has no more room, else IO. An error of qmpilot stays as it is. */
export function hostError(message: string, cause: unknown, details: Omit<ErrorDetails, 'cause'> = {}): QmpilotError {
  if (cause instanceof QmpilotError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new QmpilotError(isNoSpace(cause) ? 'NO_SPACE' : 'IO', `${message}: ${reason}`, { ...details, cause });
}

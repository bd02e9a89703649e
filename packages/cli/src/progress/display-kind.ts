/** How progress is shown on standard error. */
export type DisplayKind =
  /** Lines that are redrawn at the bottom of a terminal. */
  | 'live'
  /** Plain lines. */
  | 'lines'
  | 'quiet';

/** Returns what standard error is capable of. */
export function displayKind(quiet: boolean): DisplayKind {
  if (quiet) return 'quiet';
  return process.stderr.isTTY && process.env['TERM'] !== 'dumb' ? 'live' : 'lines';
}

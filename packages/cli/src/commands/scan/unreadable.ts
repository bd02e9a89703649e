/** A log that cannot be read; the message is for the user. */
export class UnreadableLogError extends Error {
  override readonly name = 'UnreadableLogError';
}

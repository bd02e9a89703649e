/** Monotonic milliseconds: for durations and deadlines. Never goes back, whatever is done to the wall clock. */
export function monotonicMs(): number {
  return performance.now();
}

/** Wall-clock time as ISO 8601 in UTC: for records that people read. */
export function wallTime(): string {
  return new Date().toISOString();
}

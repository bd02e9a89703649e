import pRetry from 'p-retry';

export interface RetryOptions {
  /** How often to try again after the first failure; Infinity until `signal` fires. */
  readonly retries: number;
  /** Pause before the first retry, in ms. */
  readonly delay: number;
  /** Factor by which each further pause grows (default 1). */
  readonly factor?: number;
  /** Longest pause, in ms (default unlimited). */
  readonly maxDelay?: number;
  /** Which errors are worth another try (default all). */
  readonly when?: (error: unknown) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Runs `action` until it succeeds; rejects with its last error, or with the reason of `signal`. */
export function retry<T>(action: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { retries, delay, factor = 1, maxDelay = Infinity, when, signal } = options;
  return pRetry(action, {
    retries,
    minTimeout: delay,
    maxTimeout: maxDelay,
    factor,
    ...(when && { shouldRetry: ({ error }) => when(error) }),
    ...(signal && { signal }),
  });
}

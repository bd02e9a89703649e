/**
 * Runs `work` for each index, at most `forks` at a time, in the order of `indices` as far as that goes. The first failure stops the
 * others by their signal, and is thrown when all have ended. `work` returns `false` to end the run early: the others are
 * stopped likewise, and nothing is thrown.
 * @returns whether all was done
 */
export async function schedule(
  indices: readonly number[],
  forks: number,
  signal: AbortSignal | undefined,
  work: (index: number, fork: number, signal: AbortSignal) => Promise<boolean>,
): Promise<boolean> {
  const stop = new AbortController();
  const onAbort = () => stop.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async (fork: number) => {
    for (let index = indices[next++]; index !== undefined && !stop.signal.aborted; index = indices[next++]) {
      try {
        if (!(await work(index, fork, stop.signal))) stop.abort(ENOUGH);
      } catch (error) {
        // An error after the stop is a consequence of it.
        if (!stop.signal.aborted) failure = { error };
        stop.abort(error);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(forks, indices.length) }, (_, fork) => worker(fork + 1)));
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
  if (failure) throw failure.error;
  signal?.throwIfAborted();
  return !stop.signal.aborted;
}

const ENOUGH = Symbol('enough was seen');

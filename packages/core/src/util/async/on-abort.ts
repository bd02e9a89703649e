type Listener = () => void;

/** One event listener for each signal: Node.js warns of a leak at eleven, and twenty waits on one signal are not a leak. */
const listening = new WeakMap<AbortSignal, Set<Listener>>();

/** Calls `listener` when the signal fires, not if it has fired already. Returns an unsubscribe function. */
export function onAbort(signal: AbortSignal | undefined, listener: Listener): () => void {
  if (!signal || signal.aborted) return () => {};
  const listeners = listening.get(signal) ?? listen(signal);
  // A wrapper, so that the same function added twice is two listeners.
  const own = () => listener();
  listeners.add(own);
  return () => void listeners.delete(own);
}

function listen(signal: AbortSignal): Set<Listener> {
  const listeners = new Set<Listener>();
  listening.set(signal, listeners);
  signal.addEventListener(
    'abort',
    () => {
      for (const listener of [...listeners]) listener();
      listeners.clear();
    },
    { once: true },
  );
  return listeners;
}

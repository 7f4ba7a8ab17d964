/**
 * Listening to the abort of a signal that many calls share. The platform warns of a leak from the eleventh listener of
 * one signal on, although each of these is taken away: so each signal gets one listener, and that one tells the others.
 */
const bySignal = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `listener` once when the signal aborts, until the returned function is called. For a signal not yet aborted. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const listeners = bySignal.get(signal) ?? listenTo(signal);
  // An entry of its own, in case the same function is given twice.
  const entry = (): void => listener();
  listeners.add(entry);
  return () => listeners.delete(entry);
}

function listenTo(signal: AbortSignal): Set<() => void> {
  const listeners = new Set<() => void>();
  bySignal.set(signal, listeners);
  signal.addEventListener(
    'abort',
    () => {
      const called = [...listeners];
      listeners.clear();
      for (const listener of called) listener();
    },
    { once: true },
  );
  return listeners;
}

/** The reason with which the signal of work aborts that has settled. */
const SETTLED = 'settled';

/**
 * The outcome of the work, or the reason of the signal that aborts first. Either aborts the signal of the work, which
 * may have left something behind.
 */
export function untilAborted<Outcome>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<Outcome>,
): Promise<Outcome> {
  const aborted = signals.find((signal) => signal.aborted);
  if (aborted !== undefined) return Promise.reject(aborted.reason);
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    const undo = signals.map((signal) =>
      onAbort(signal, () => {
        reject(signal.reason);
        controller.abort(signal.reason);
      }),
    );
    void work(controller.signal)
      .then(resolve, reject)
      .finally(() => {
        for (const each of undo) each();
        controller.abort(SETTLED);
      });
  });
}

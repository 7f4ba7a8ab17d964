/** Process signals that ask a worker to end. */

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** A launcher may repeat a signal that the terminal has sent already; repetitions within this time are ignored, ms. */
const SAME_SIGNAL_MS = 200;

/** The workers of a process share one listener, because Node warns about a leak above ten. */
const waiting = new Set<(signal: NodeJS.Signals) => void>();
const onSignal = (signal: NodeJS.Signals): void => {
  for (const listener of [...waiting]) listener(signal);
};

/** Calls `first` on the first signal and `again` on every later one. The returned function removes the handlers. */
export function onTermination(
  first: (signal: NodeJS.Signals) => void,
  again: (signal: NodeJS.Signals) => void,
): () => void {
  let firstAt: number | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      first(signal);
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
      again(signal);
    }
  };
  if (waiting.size === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  waiting.add(listener);
  return () => {
    if (waiting.delete(listener) && waiting.size === 0) for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}

/** Process signals that ask a worker to end. */

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** A launcher may pass on a signal that the terminal has sent already: what follows this soon is the same one, ms. */
const SAME_SIGNAL_MS = 200;

/** All that wait for a signal in this process share one listener: Node takes more than ten for a leak, and says so. */
const waiting = new Set<(signal: NodeJS.Signals) => void>();
const heard = (signal: NodeJS.Signals): void => {
  for (const listener of [...waiting]) listener(signal);
};

/** Calls `first` on the first signal and `again` on every later one; the returned function takes the handlers away. */
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
  if (waiting.size === 0) for (const signal of SIGNALS) process.on(signal, heard);
  waiting.add(listener);
  return () => {
    if (waiting.delete(listener) && waiting.size === 0) for (const signal of SIGNALS) process.off(signal, heard);
  };
}

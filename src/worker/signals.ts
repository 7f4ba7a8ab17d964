/** Process signals that ask a worker to end. */

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Calls `first` on the first signal and `again` on every later one; the returned function takes the handlers away. */
export function onTermination(first: (signal: NodeJS.Signals) => void, again: (signal: NodeJS.Signals) => void): () => void {
  let seen = false;
  const listener = (signal: NodeJS.Signals): void => {
    (seen ? again : first)(signal);
    seen = true;
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
}

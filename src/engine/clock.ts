/**
 * What the loops take from the world: monotonic time, timers and chance. Everything that waits goes through it, so
 * that a test can put its own in and own the time.
 */

/** Undoes a timer; harmless when the timer has fired. */
export type Cancel = () => void;

export interface Clock {
  /** Monotonic time, ms. Only differences mean anything. */
  now(): number;
  /** Calls `fn` once, `ms` from now or as soon after as the event loop turns. */
  after(ms: number, fn: () => void): Cancel;
  /** A number from 0 (inclusive) to 1 (exclusive), for jitter. */
  random(): number;
}

/** Longest wait that `setTimeout` can hold; longer ones are cut into pieces. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, fn) {
    const startedAt = performance.now();
    let timer: ReturnType<typeof setTimeout>;
    const wait = (leftMs: number): void => {
      timer = setTimeout(
        leftMs > MAX_TIMEOUT_MS ? () => wait(ms - (performance.now() - startedAt)) : fn,
        Math.min(leftMs, MAX_TIMEOUT_MS),
      );
    };
    wait(Math.max(0, ms));
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

/** Resolves after `ms`. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}

/** Resolves when the work does, or after `ms` without it. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  let cancel: Cancel | undefined;
  await Promise.race([work, new Promise<void>((resolve) => (cancel = clock.after(ms, resolve)))]);
  cancel?.();
}

/** `ms`, moved by up to `share` of it in either direction. */
export function spread(clock: Clock, ms: number, share: number): number {
  return ms * (1 + share * (2 * clock.random() - 1));
}

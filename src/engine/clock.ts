/**
 * What the loops take from the world: monotonic time, timers and chance. Everything that waits goes through it, so
 * that a test can put its own in and own the time.
 */
import { onAbort } from '../shared/abort-listeners.js';

/** Undoes a timer; harmless when the timer has fired. */
export type Cancel = () => void;

export interface Clock {
  /** Monotonic time, ms. Only differences mean anything. */
  now(): number;
  /** Calls `fn` once, `ms` from now or as soon after as the event loop turns. */
  after(ms: number, fn: () => void): Cancel;
  /** A number from 0 (inclusive) to 1 (exclusive), for jitter. */
  random(): number;
  /**
   * Calls `fn` once, when the answers that have arrived by now have been read. Default: `setImmediate`, which runs after
   * the event loop has looked at its sockets.
   */
  afterIo?(fn: () => void): void;
  /**
   * Calls `fn` in every turn of the event loop, between its sockets and what others left to `setImmediate`, as long as it
   * answers true. It does not make the loop turn. Default: never, for clocks that know of no loop.
   */
  eachTurn?(fn: () => boolean): void;
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
  eachTurn(fn) {
    const turned = (): void => {
      if (fn()) arm();
    };
    // One that is not referenced runs in every turn, and lets the loop sleep all the same.
    const arm = (): void => void setImmediate(turned).unref();
    arm();
  },
};

/** Resolves after `ms`, or as soon as the signal aborts. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      cancel();
      stopListening?.();
      resolve();
    };
    const cancel = clock.after(ms, over);
    const stopListening = signal && onAbort(signal, over);
  });
}

/**
 * Calls `fn` once, when the answers that have arrived by now have been read. The event loop fires timers before it looks
 * at its sockets: after a stretch in which it stood still, a timer that judges by an answer finds unread what has been
 * there for long. So such a timer never judges by itself, but by this.
 */
export function afterIo(clock: Clock, fn: () => void): void {
  if (clock.afterIo === undefined) setImmediate(fn);
  else clock.afterIo(fn);
}

/** Calls `fn` once, `ms` from now at the earliest, and not before the answers that have arrived by then have been read. */
export function afterAndIo(clock: Clock, ms: number, fn: () => void): Cancel {
  let cancelled = false;
  const cancel = clock.after(ms, () =>
    afterIo(clock, () => {
      if (!cancelled) fn();
    }),
  );
  return () => {
    cancelled = true;
    cancel();
  };
}

/** Resolves when the work settles, or after `ms` without it. Never rejects. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = afterAndIo(clock, ms, resolve);
    const settled = (): void => {
      cancel();
      resolve();
    };
    work.then(settled, settled);
  });
}

/** `ms`, moved by up to `share` of it in either direction. */
export function spread(clock: Clock, ms: number, share: number): number {
  return ms * (1 + share * (2 * clock.random() - 1));
}

/**
 * The clock of the loops: monotonic time, timers and randomness. Everything that waits uses it, so that a test can
 * substitute its own.
 */
import { onAbort } from '../shared/abort-listeners.js';

/** Cancels a timer; harmless after it has fired. */
export type Cancel = () => void;

export interface Clock {
  /** Monotonic time, ms. Only differences are meaningful. */
  now(): number;
  /** Calls `fn` once, in `ms` or as soon after as the event loop turns. */
  after(ms: number, fn: () => void): Cancel;
  /** A number from 0 (inclusive) to 1 (exclusive), for jitter. */
  random(): number;
  /**
   * Calls `fn` once the answers that have arrived by now have been read. Default: `setImmediate`, which runs after the
   * event loop has polled its sockets.
   */
  afterIo?(fn: () => void): void;
  /**
   * Calls `fn` in every turn of the event loop, between its sockets and other `setImmediate` callbacks, as long as it
   * returns true. It does not make the loop turn. Default: never, for clocks without a loop.
   */
  eachTurn?(fn: () => boolean): void;
}

/** Longest delay of `setTimeout`; longer ones are split. */
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
    // An unreferenced immediate runs in every turn without keeping the loop awake.
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
 * Calls `fn` once the answers that have arrived by now have been read. The event loop fires timers before it polls its
 * sockets: after it was blocked, a timer would judge while answers that arrived long ago are still unread. Such a timer
 * must therefore judge only through this function.
 */
export function afterIo(clock: Clock, fn: () => void): void {
  if (clock.afterIo === undefined) setImmediate(fn);
  else clock.afterIo(fn);
}

/** Calls `fn` once, in `ms` at the earliest, after the answers that have arrived by then have been read. */
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

/** Resolves when the work settles, or after `ms`. Never rejects. */
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

/** `ms`, changed by up to `share` of it in either direction. */
export function spread(clock: Clock, ms: number, share: number): number {
  return ms * (1 + share * (2 * clock.random() - 1));
}

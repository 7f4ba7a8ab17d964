/** An app for unit tests: the real engine in memory, the real worker, and a clock that you move. */
import { app, type App, type WorkerOptions } from '../app/index.js';
import { durationMs, type Duration } from '../shared/duration.js';
import type { Logger } from '../shared/logger.js';
import type { Backend } from '../backend.js';
import { memory } from '../memory/index.js';
import { seededUuids } from './engine.js';
import { VirtualClock } from './virtual-clock.js';

export interface TestAppOptions {
  /** Where the clock starts, ms since the epoch. Default 2023-11-14T22:13:20Z. */
  readonly startAt?: number;
  /** Seed of ids and of chance: the same seed and the same calls give the same run. Default 1. */
  readonly seed?: number;
  readonly log?: Logger;
}

export interface TestApp {
  readonly app: App;
  readonly backend: Backend;
  /** The time of the clock, ms since the epoch. */
  now(): number;
  /**
   * Lets time pass: retries, delays, lease expiries, timeouts and deadlines happen at their times, in order, and
   * handlers run in between. Weeks take milliseconds. A handler that waits for the outside world (a socket, a real
   * timer) is not waited for.
   */
  advance(duration: Duration): Promise<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const DEFAULT_START = 1_700_000_000_000;
const RARELY = '7d';

/**
 * @example
 * const t = testApp();
 * const flaky = t.app.task('flaky', { retry: { failures: 3, backoff: backoff.fixed('1d') } }, handler);
 * await t.app.worker();
 * const run = flaky.run({});
 * await t.advance('2d');
 * expect(await run.state()).toBe('completed');
 */
export function testApp({ startAt = DEFAULT_START, seed = 1, log }: TestAppOptions = {}): TestApp {
  const clock = new VirtualClock(startAt, seed);
  const backend = memory({ now: clock.now });
  const inner = app({ backend, clock, ids: seededUuids(String(seed)), ...(log === undefined ? {} : { log }) });
  // Wakes inside one process are not lost, so nothing has to be polled for; and every poll costs time that does not pass.
  const tested: App = Object.create(inner, {
    worker: {
      value: (options: WorkerOptions = {}) =>
        inner.worker({
          sweepInterval: RARELY,
          ...options,
          engine: options.engine ?? { pollIntervalMs: durationMs(RARELY) },
        }),
    },
  }) as App;
  const close = async (): Promise<void> => {
    const closing = inner.close();
    // Draining waits by the clock too.
    await clock.advance(0);
    await closing;
  };
  return {
    app: tested,
    backend,
    now: clock.now,
    advance: (duration) => clock.advance(durationMs(duration)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

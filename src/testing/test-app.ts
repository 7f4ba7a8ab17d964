/** An app for unit tests: the real engine in memory, the real worker, and a clock that you move. */
import { LIMITS } from '../../model/limits.js';
import { insideOf } from '../app/app.js';
import { app, type App } from '../app/index.js';
import type { Backend } from '../backend/backend.js';
import { memory } from '../memory/index.js';
import { checkDuration, checkLogger, checkWhole, refuse } from '../shared/checks.js';
import { durationMs, type Duration } from '../shared/duration.js';
import { InvalidDefinitionError } from '../shared/errors.js';
import { knownOnly } from '../shared/known-only.js';
import type { Logger } from '../shared/logger.js';
import { seededAscendingUuids } from './seeded-ids.js';
import { refuseFakeTimers } from './real-timers.js';
import { Standstill } from './standstill.js';
import { VirtualClock } from './virtual-clock.js';

export interface TestAppOptions {
  /** Where the clock starts, ms since the epoch. Default 2023-11-14T22:13:20Z. */
  readonly startAt?: number | undefined;
  /** Seed of ids and random choices: the same seed and calls give the same run. Default 1. */
  readonly seed?: number | undefined;
  /**
   * How long ended runs are kept, unless their task sets `retention`. Default ten years, so that `advance` does not
   * purge what the test inspects afterwards.
   */
  readonly retention?: Duration | undefined;
  /** The logger. Default that of the tested app, or none. */
  readonly log?: Logger | undefined;
}

export interface TestApp {
  /** The app: your own, if you passed one. */
  readonly app: App;
  readonly backend: Backend;
  /** The time of the clock, ms since the epoch. */
  now(): number;
  /**
   * Lets time pass: retries, delays, lease expiries, timeouts and deadlines happen in order, and handlers run in
   * between. Weeks take milliseconds. It does not wait for handlers that wait for the outside world (a socket, a real
   * timer).
   * @throws InvalidDefinitionError while fake timers of the test runner are installed
   */
  advance(duration: Duration): Promise<void>;
  /**
   * Ends the test: drains the workers, advancing the clock as needed. Your own app gets its own backend back, and is
   * ready for the next test.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where virtual time starts, ms since the epoch. */
export const DEFAULT_START = 1_700_000_000_000;
const RARELY = '7d';
/**
 * Wakes inside one process are not lost, so polling is unnecessary; and each poll costs work while virtual time passes.
 */
export const SELDOM_ASKING = {
  maxPollMs: LIMITS.maxWatchTtlMs / 2,
  workerDefaults: { sweepInterval: RARELY, liveness: '21d', engine: { pollIntervalMs: durationMs(RARELY) } },
} as const;
/** Steps of time while the app drains, ms. */
const CLOSING_STEP_MS = 1_000;
const TEST_OPTIONS = { startAt: true, seed: true, retention: true, log: true } as const;

/**
 * Runs an app in memory under virtual time: a new one, or your own with all its tasks, in place of the backend that it
 * was defined with.
 *
 * @throws InvalidDefinitionError if the app was used before, or fake timers of the test runner are installed
 * @example
 * const t = testApp();
 * const flaky = t.app.task('flaky', { retry: { failures: 3, backoff: backoff.fixed('1d') } }, handler);
 * await t.app.worker();
 * const run = flaky.run({});
 * await t.advance('2d');
 * expect(await run.state()).toBe('completed');
 * @example
 * import { shop, charge } from '../src/shop.js'; // export const shop = app({ backend: valkey() })
 * await using t = testApp(shop);
 * await shop.worker();
 * const run = charge.run({ order: 'o1' });
 */
export function testApp(options?: TestAppOptions): TestApp;
export function testApp(app: App, options?: TestAppOptions): TestApp;
export function testApp(first: App | TestAppOptions = {}, second?: TestAppOptions): TestApp {
  refuseFakeTimers('testApp');
  const given = insideOf(first);
  // Most often an app that is not imported yet, because two modules import each other.
  if (given === undefined && second !== undefined)
    throw refuse('testApp(app, options)', 'the first argument', 'an app', first);
  const options = given === undefined ? (first as TestAppOptions) : (second ?? {});
  knownOnly<TestAppOptions>('testApp', options, TEST_OPTIONS);
  checkDuration('testApp', 'retention', options.retention, 0, LIMITS.maxDurationMs);
  checkWhole('testApp', 'startAt', options.startAt, 0, LIMITS.maxInteger);
  checkWhole('testApp', 'seed', options.seed, -LIMITS.maxInteger, LIMITS.maxInteger);
  checkLogger('testApp', options.log);
  const { startAt = DEFAULT_START, seed = 1, retention = LIMITS.maxDurationMs } = options;
  const clock = new VirtualClock(startAt, seed);
  const backend = memory({ now: clock.now, retentionMs: durationMs(retention) });
  const tested = given ?? insideOf(app({ backend }));
  if (tested === undefined || tested.isUsed)
    throw new InvalidDefinitionError(
      'testApp(app): the app is in use: it has connected to its backend, or an earlier testApp(app) is still open',
      'Call testApp(app) before anything else is done with the app in this test, and close it at the end.',
    );
  const restore = tested.tasks.keep();
  tested.replaceRuntime({
    ...tested.runtimeOptions,
    source: backend,
    closesBackend: true,
    clock,
    ids: seededAscendingUuids(String(seed), clock.now),
    ...(options.log === undefined ? {} : { log: options.log }),
    standstill: new Standstill(backend, clock).watch,
    ...SELDOM_ASKING,
  });
  let [closing, moved]: [Promise<void> | undefined, Promise<void>] = [undefined, Promise.resolve()];
  const close = (): Promise<void> => {
    closing ??= closed(tested, clock).finally(() => {
      if (given === undefined) return;
      restore();
      tested.replaceRuntime(undefined);
    });
    return closing;
  };
  return {
    app: tested,
    backend,
    now: clock.now,
    advance: async (duration) => {
      refuseFakeTimers('advance');
      const ms = durationMs(duration);
      // Calls that are not awaited add up.
      const moving = moved.then(() => clock.advance(ms));
      moved = moving.catch(() => undefined);
      await moving;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Closes the app; draining waits by the clock too, so time passes until it is done. */
async function closed(tested: App, clock: VirtualClock): Promise<void> {
  refuseFakeTimers('close');
  let done = false;
  const closing = tested.close().finally(() => (done = true));
  closing.catch(() => undefined);
  await clock.advance(0);
  while (!done) await clock.advance(CLOSING_STEP_MS);
  await closing;
}

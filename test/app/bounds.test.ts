/** Numbers and durations: both bounds of an option are taken, and what is beyond them is refused by its name. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import {
  app,
  backoff,
  delay,
  InvalidDefinitionError,
  memory,
  type App,
  type Run,
  type TaskContext,
} from '../../src/index.js';
import { testApp } from '../../src/testing/index.js';
import { memoryApp } from './support.js';

let a: App;
let defined = 0;
let ended: Run<number>;
beforeEach(async () => {
  a = memoryApp();
  const task = a.task('ended', () => 1);
  await a.worker();
  ended = await task.run();
  await ended.result();
});
afterEach(() => a.close());

const define = (options: object): unknown => a.task(`t${defined++}`, options, () => 1);
const name = (): string => `t${defined - 1}`;
const first = async (rows: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of rows) break;
};
const worker = async (options: object): Promise<void> =>
  (await a.worker({ lanes: ['none'], engine: false, ...options })).close();
const run = (options: object): unknown => a.task(`t${defined++}`, () => 1).run(undefined, options);

/** The beginning of the refusal, the bounds, and a call with the value. */
type Case = readonly [says: string, min: number, max: number, call: (value: number) => unknown];

const { maxDurationMs } = LIMITS;

const CASES: readonly Case[] = [
  ['Task "?": priority', LIMITS.minPriority, LIMITS.maxPriority, (priority) => define({ priority })],
  ['Task "?": retention', 0, maxDurationMs, (retention) => define({ retention })],
  ['Task "?": retry.failures', 0, LIMITS.maxRetries, (failures) => define({ retry: { failures } })],
  ['Task "?": retry.crashes', 0, LIMITS.maxReclaimCount, (crashes) => define({ retry: { crashes } })],
  ['Task "?": timeout.attempt', 1, maxDurationMs, (attempt) => define({ timeout: { attempt } })],
  ['Task "?": timeout.total', 1, maxDurationMs, (total) => define({ timeout: { total } })],
  ['Task "?": quota.concurrency', 1, LIMITS.maxQuotaConcurrency, (concurrency) => define({ quota: { concurrency } })],
  [
    'Task "?": quota.rate.limit',
    1,
    LIMITS.maxQuotaRate,
    (limit) => define({ quota: { rate: { limit, window: '1s' } } }),
  ],
  ['backoff.fixed: the delay', 0, LIMITS.maxBackoffMs, (ms) => backoff.fixed(ms)],
  ['Run of task "?": idempotencyWindow', 1, maxDurationMs, (window) => run({ id: 'x', idempotencyWindow: window })],
  ['Run of task "?": delay', 0, maxDurationMs, (ms) => run({ delay: ms })],
  ['Run of task "?": priority', LIMITS.minPriority, LIMITS.maxPriority, (priority) => run({ priority })],
  ['result: timeout', 0, maxDurationMs, (timeout) => ended.result({ timeout })],
  ['stream: attempt', 1, 1_000_000, (attempt) => first(ended.stream({ attempt, signal: AbortSignal.timeout(20) }))],
  ['summary: attempt', 1, 1_000_000, (attempt) => ended.summary({ attempt })],
  ['bills: days', 1, LIMITS.maxBilledDays, (days) => first(a.bills({ days }))],
  ['bill: days', 1, LIMITS.maxBilledDays, (days) => a.budget('b', {}).bill({ days })],
  ['deadLetters.replay: limit', 1, 1_000_000, (limit) => a.deadLetters.replay({}, { limit })],
  [
    'rotateKey: grace',
    0,
    LIMITS.maxTokenGraceMs,
    (grace) => a.signals.rotateKey({ kid: `k${grace}`, secret: new Uint8Array(32), grace }),
  ],
  ['close: timeout', 0, maxDurationMs, (timeout) => app({ backend: memory() }).close({ timeout })],
  ['The worker: drainTimeout', 0, maxDurationMs, (drainTimeout) => worker({ drainTimeout })],
  ['The worker: abortGrace', 0, maxDurationMs, (abortGrace) => worker({ abortGrace })],
  ['The worker: sweepInterval', 1, maxDurationMs, (sweepInterval) => worker({ sweepInterval })],
  ['The worker: liveness', LIMITS.minLivenessTtlMs, LIMITS.maxLivenessTtlMs, (liveness) => worker({ liveness })],
  ['The worker: leaseTtl', LIMITS.minLeaseTtlMs, LIMITS.maxLeaseTtlMs, (leaseTtl) => worker({ leaseTtl })],
  ['The worker: leaseTtlMs', LIMITS.minLeaseTtlMs, LIMITS.maxLeaseTtlMs, (leaseTtlMs) => worker({ leaseTtlMs })],
];

/** The refusal of a call; `taken` for one that is not refused for what was given. */
async function answerTo(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof InvalidDefinitionError) return error.message;
  }
  return 'taken';
}

const beyond = (says: string): unknown => expect.stringContaining(`${says} must be `);

describe('outside of handlers,', () => {
  it.each(CASES)('%s from %d to %d', async (says, min, max, call) => {
    for (const value of [min, max]) expect(await answerTo(() => call(value))).toBe('taken');
    for (const value of [min - 1, max + 1])
      expect(await answerTo(() => call(value))).toEqual(beyond(says.replace('?', name())));
  });
});

type CaseInside = readonly [
  says: string,
  min: number,
  max: number,
  call: (context: TaskContext<number>, value: number) => unknown,
];

let tokens: () => ReturnType<App['budget']>;

const CASES_INSIDE: readonly CaseInside[] = [
  ['step "s": timeout', 1, maxDurationMs, ({ step }, timeout) => step('s', () => 1, { timeout })],
  [
    'step "s": retry.failures',
    0,
    LIMITS.maxRetries,
    ({ step }, failures) => step('s', () => 1, { retry: { failures } }),
  ],
  ['sleep: the duration', 0, maxDurationMs, ({ sleep }, ms) => sleep(ms)],
  ['waitFor: timeout', 0, maxDurationMs, ({ waitFor }, timeout) => waitFor('s', { timeout, onTimeout: 'value' })],
  ['approval: approvals', 1, 1_000, ({ approval }, approvals) => approval('a', { approvals })],
  ['approval: timeout', 0, maxDurationMs, ({ approval }, timeout) => approval('a', { timeout })],
  ['waitpoint: timeout', 1, LIMITS.maxPendingMs, ({ waitpoint }, timeout) => waitpoint('w', { timeout })],
  [
    'reserve: ttl',
    LIMITS.minReservationTtlMs,
    LIMITS.maxReservationTtlMs,
    ({ budget }, ttl) => budget(tokens()).reserve({ tokens: 1 }, { ttl }),
  ],
  // Once: a delay of nothing would be over at once, again and again.
  ['delay: the time', 0, maxDurationMs, ({ resumes }, ms) => (resumes === 0 ? delay(ms) : undefined)],
];

describe('inside of handlers,', () => {
  it.each(CASES_INSIDE)('%s from %d to %d', async (says, min, max, call) => {
    await using t = await testApp();
    tokens = () => t.app.budget('b', { limits: { tokens: { hard: 10 } } });
    await t.app.signals.rotateKey({ kid: 'k', secret: new Uint8Array(32) });
    const refused = new Map<number, string>();
    const task = t.app.task('t', async (context: TaskContext<number>) => {
      try {
        return await call(context, context.input);
      } catch (error) {
        if (!(error instanceof InvalidDefinitionError)) throw error;
        refused.set(context.input, error.message);
      }
      return undefined;
    });
    await t.app.worker();
    for (const value of [min, max, min - 1, max + 1]) await task.run(value);
    await t.advance(10);
    expect([...refused.keys()]).toEqual([min - 1, max + 1]);
    for (const message of refused.values()) expect(message).toEqual(beyond(says));
  });
});

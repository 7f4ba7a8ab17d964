/** Uses all of a backend, as a user with few rights does. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { OPERATIONS, QUERIES } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { app, type TaskContext } from '../../src/index.js';
import type { Backend, Wake } from '../../src/backend/backend.js';

type Calls = Record<string, ((args: unknown) => Promise<unknown>) | undefined>;

/** Refusals of the machine are answers; these are the marks of a right that is missing. */
const FAULTS = ['server_refused', 'function_failed', 'transport_failed', 'corruption', 'library_mismatch'];

/** The members of these arguments that an operation takes: one object is enough for all that its owner may do. */
function declared(name: string, args: unknown): unknown {
  const shape = Object.entries<{ readonly args: { readonly shape: object } }>({ ...OPERATIONS, ...QUERIES })
    .filter(([known]) => known === name)
    .map(
      ([
        ,
        {
          args: { shape },
        },
      ]) => shape,
    )[0];
  if (shape === undefined) return args;
  return Object.fromEntries(Object.entries(args as object).filter(([member]) => Object.hasOwn(shape, member)));
}

/**
 * Calls every operation and read of a backend, most of them on an execution that has the state for it, with long bytes,
 * tags, policies, keys and capabilities, so that each takes the way with the most commands.
 */
export async function useEverything(backend: Backend, partition: string): Promise<void> {
  const calls = backend as unknown as Calls;
  const called = new Set<string>();
  const call = async (name: string, args: unknown = {}): Promise<unknown> => {
    called.add(name);
    try {
      return await calls[name]?.(declared(name, args));
    } catch (error) {
      expect(error, name).toBeInstanceOf(EngineError);
      expect(FAULTS, `${name}: ${String(error)}`).not.toContain((error as EngineError).code);
      return undefined;
    }
  };
  const wakes: Wake[] = [];
  const stop = await backend.onWake(['lane'], (wake) => wakes.push(wake), ['gpu']);
  /** Creates an execution and claims it. */
  const owned = async (more: object = {}) => {
    await call('createExecution', {
      executionId: `${partition}:${randomUUID()}`,
      namespace: 'n',
      laneId: 'lane',
      executionKind: 'k',
      creatorIdentity: 'c',
      inputPayload: Buffer.alloc(5_000, 1),
      tags: { 'team.name': 'a' },
      ...more,
    });
    const outcome = (await call('claimForWorker', {
      partition,
      laneId: 'lane',
      workerId: 'w',
      workerInstanceId: 'i',
      workerCapabilities: ['gpu'],
      leaseTtlMs: 30_000,
      claims: [{ leaseId: randomUUID(), attemptId: randomUUID() }],
    })) as { executions?: ClaimedExecution[] };
    const claimed = outcome.executions?.[0] as ClaimedExecution;
    expect(claimed).toBeDefined();
    const { executionId, leaseId, leaseEpoch, attemptId } = claimed;
    return { executionId, fence: { leaseId, leaseEpoch, attemptId }, leaseId, leaseEpoch, attemptId };
  };
  const policy = {
    retryPolicy: { maxRetries: 1, backoff: { type: 'fixed', delayMs: 1 } },
    routingRequirements: { requiredCapabilities: ['gpu'] },
    timeoutPolicy: { attemptTimeoutMs: 60_000 },
  };
  const first = await owned({ policy, idempotencyKey: 'key' });
  await call('renewLease', { ...first, leaseTtlMs: 30_000 });
  await call('updateProgress', { ...first, pct: 5, message: 'x'.repeat(100) });
  await call('completeExecution', { ...first, resultPayload: Buffer.alloc(5_000, 2) });
  await call('getExecutionResult', first);
  const failed = await owned({ policy });
  await call('failExecution', { ...failed, failureReason: 'r', failureCategory: 'c' });
  const delayed = await owned();
  await call('delayExecution', { ...delayed, delayUntil: Date.now() + 20 });
  await call('releaseLease', await owned());
  const revoked = await owned({ executionDeadlineAt: Date.now() + 60_000 });
  await call('revokeLease', { executionId: revoked.executionId, reason: 'r' });
  await call('cancelExecution', { executionId: revoked.executionId, reason: 'r', source: 'operator_override' });
  await sleep(50);
  for (const name of [...Object.keys(OPERATIONS), ...Object.keys(QUERIES)])
    if (!called.has(name)) await call(name, { partition, limit: 10, ...delayed });
  for (const name of ['listLanes', 'ping', 'serverTime']) await call(name);
  stop();
  expect(wakes.some(({ kind }) => kind === 'work')).toBe(true);
}

/** Runs tasks through the app, with a worker and its loop. */
export async function useApp(backend: Backend): Promise<void> {
  const client = app({ backend, closeBackend: false });
  const echo = client.task('echo', ({ input }: TaskContext<string>) => input);
  const inputs = Array.from({ length: 50 }, (_, index) => 'x'.repeat(index * 100));
  const runs = await echo.runMany(inputs);
  await client.worker({ claimAhead: 50 });
  expect(await Promise.all(runs.map((run) => run.result({ timeout: '20s' })))).toEqual(inputs);
  await client.close();
}

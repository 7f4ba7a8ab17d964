/** Subscriptions and reads that fail once are made again, and what a timer loop reports. */
import { expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { bringForward } from '../../src/engine/bring-forward.js';
import { systemClock } from '../../src/engine/clock.js';
import { startTimerLoop } from '../../src/engine/timer-loop.js';
import { memory } from '../../src/memory/index.js';
import { until } from '../app/support.js';

const HOUR_MS = 3_600_000;
const gone = new EngineError('call_timeout', 'gone.');
const idOf = (n: number): string => `{fp:0}:00000000-0000-4000-a000-${String(n).padStart(12, '0')}`;

test('a timer loop whose subscription failed subscribes again, and looks for what it missed', async () => {
  await using backend = memory({ partitions: { count: 1 } });
  const subscribe = backend.onWake.bind(backend);
  let calls = 0;
  backend.onWake = (...args) => (++calls === 1 ? Promise.reject(gone) : subscribe(...args));
  const errors: unknown[] = [];
  await using loop = await startTimerLoop(backend, { pollIntervalMs: HOUR_MS, onError: (error) => errors.push(error) });
  const createDelayed = (n: number): Promise<unknown> =>
    backend.createExecution({
      executionId: idOf(n),
      namespace: 'n',
      laneId: 'l',
      executionKind: 'k',
      creatorIdentity: 'c',
      // Long enough for a slow machine: an execution whose time has come when it is created needs no loop.
      delayUntil: Date.now() + 200,
    });
  for (const n of [1, 2]) {
    await createDelayed(n);
    await until(() => loop.applied === n);
    expect(await backend.readExecutionState({ executionId: idOf(n) })).toBe('waiting');
  }
  expect(calls).toBe(2);
  expect(errors).toEqual([gone]);
});

test('a timer loop reports records that a pass has set aside', async () => {
  await using backend = memory({ partitions: { count: 1 } });
  const applyDue = backend.applyDue.bind(backend);
  backend.applyDue = async (args) => ({ ...(await applyDue(args)), setAside: [idOf(7)] });
  const errors: unknown[] = [];
  await using _loop = await startTimerLoop(backend, {
    pollIntervalMs: HOUR_MS,
    onError: (error) => errors.push(error),
  });
  await until(() => errors.length > 0);
  expect(errors[0]).toMatchObject({ code: 'corruption', detail: { partition: '{fp:0}' } });
  expect(String(errors[0])).toContain(idOf(7));
});

test('bringForward() reads the time of the server again after a failure', async () => {
  await using backend = memory({ partitions: { count: 1 } });
  const applyDue = backend.applyDue.bind(backend);
  backend.applyDue = async (args) =>
    ({ ...(await applyDue(args)), after: 'more', nextDueAt: Date.now() + HOUR_MS }) as never;
  const serverTime = backend.serverTime.bind(backend);
  let calls = 0;
  backend.serverTime = () => (++calls === 1 ? Promise.reject(gone) : serverTime());
  const isDone = (): Promise<boolean> => Promise.resolve(false);
  expect(await bringForward(backend, '{fp:0}', { clock: systemClock, isDone })).toBe(false);
  expect(calls).toBe(2);
});

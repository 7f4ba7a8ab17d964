/** The simulated backend is prepared for the end of its process as the others are, under virtual time. */
import { expect, test } from 'vitest';
import {
  Scheduler,
  SimulatedConnection,
  SimulatedProcess,
  SimulatedServer,
} from '../../src/testing/simulation/index.js';

const START = 1_700_000_000_000;
const EXECUTION = '{fp:0}:00000000-0000-4000-8000-000000000001';
const FACTS = { executionId: EXECUTION, namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };

function simulated() {
  const scheduler = new Scheduler(START);
  const server = new SimulatedServer({ scheduler, partitions: 1 });
  const process = new SimulatedProcess('p', scheduler, { seed: 1 });
  const { backend } = new SimulatedConnection({ scheduler, server, process, latencyMs: 50, callTimeoutMs: 5_000 });
  return { scheduler, process, backend };
}

test('calls in flight get their answers, listeners end, and further calls are refused', async () => {
  const { scheduler, process, backend } = simulated();
  const woken: string[] = [];
  const listening = backend.onWake(['l'], ({ kind }) => void woken.push(kind));
  await scheduler.advanceTo(START + 1_000);
  await listening;
  const created = backend.createExecution(FACTS);
  let endedAt: number | undefined;
  const ended = backend.shutdownPrepare({ graceMs: 1_000 }).finally(() => (endedAt = scheduler.now()));
  expect(woken).toEqual(['resync']);
  await expect(backend.ping()).rejects.toMatchObject({ code: 'backend_closed' });
  await scheduler.advanceTo(START + 3_000);
  expect(await ended).toEqual({ unanswered: 0 });
  expect([endedAt, process.timers]).toEqual([START + 1_100, 0]);
  expect(await created).toMatchObject({ kind: 'created' });
  expect(woken).toEqual(['resync']);
});

test('after the grace the report has the number of calls without an answer', async () => {
  const { scheduler, backend } = simulated();
  const created = backend.createExecution(FACTS);
  const ended = backend.shutdownPrepare({ graceMs: 20 });
  await scheduler.advanceTo(START + 1_000);
  expect(await ended).toEqual({ unanswered: 1 });
  expect(await created).toMatchObject({ kind: 'created' });
  await expect(backend.shutdownPrepare({ graceMs: -1 })).rejects.toMatchObject({ code: 'invalid_input' });
});

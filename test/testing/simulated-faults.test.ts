/** The faults of the simulated backend: what they can be aimed at, and what is still under way after one. */
import { expect, test } from 'vitest';
import { CALL_GROUPS } from '../../src/testing/simulation/plan.js';
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
  const options = { scheduler, server, process, latencyMs: 50, callTimeoutMs: 5_000 };
  return { scheduler, connection: new SimulatedConnection(options) };
}

test('the groups that faults are aimed at name only calls that a backend has, and each call once', () => {
  const backend = simulated().connection.backend as unknown as Record<string, unknown>;
  const names: readonly string[] = Object.values(CALL_GROUPS).flat();
  expect(names.filter((name) => typeof backend[name] !== 'function')).toEqual([]);
  expect([...new Set(names)]).toEqual(names);
});

test('a call that arrives after its caller gave up is counted until it has run', async () => {
  const { scheduler, connection } = simulated();
  connection.plan.add({ on: 'create', fault: { kind: 'arrives_late', byMs: 1_000 }, count: 1 });
  expect(connection.strays).toBe(0);
  const created = connection.backend.createExecution(FACTS).catch((error: { code: string }) => error.code);
  await scheduler.advanceTo(START + 5_500);
  expect([await created, connection.strays]).toEqual(['call_timeout', 1]);
  await scheduler.advanceTo(START + 7_000);
  expect(connection.strays).toBe(0);
  const state = connection.backend.readExecutionState({ executionId: EXECUTION });
  await scheduler.advanceTo(START + 8_000);
  expect(await state).toBe('waiting');
});

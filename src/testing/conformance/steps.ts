/** Building blocks of the conformance scenarios. */
import assert from 'node:assert/strict';
import { EngineError, type ErrorCode } from '../../../model/errors.js';
import { partitionKeyOf } from '../../../model/ids.js';
import type { ArgsOf, OutcomeOf } from '../../../model/machine.js';
import type { ClaimedExecution } from '../../../model/schedule/claimed.js';
import type { TestEngine, TestEngineOptions } from '../engine.js';

/** One requirement of a backend. */
export interface ConformanceScenario {
  readonly name: string;
  /** Options that the engine must be opened with, besides the choice of the backend. */
  readonly options?: Pick<TestEngineOptions, 'retentionMs' | 'logMaxEntries' | 'partitions'>;
  /** Rejects with an `AssertionError` if the backend deviates. The engine must be new or cleared. */
  run(engine: TestEngine): Promise<void>;
}

export const LANE = 'conformance';
export const PARTITION = partitionKeyOf(0);
export const TTL_MS = 10_000;

export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

export async function create(engine: TestEngine, facts: Partial<ArgsOf<'createExecution'>> = {}): Promise<string> {
  const executionId = facts.executionId ?? engine.executionId();
  const outcome = await engine.backend.createExecution({
    executionId,
    namespace: 'conformance',
    laneId: LANE,
    executionKind: 'kind',
    creatorIdentity: 'suite',
    ...facts,
  });
  assert.equal(outcome.kind, 'created');
  return executionId;
}

export function claim(
  engine: TestEngine,
  facts: Partial<ArgsOf<'claimForWorker'>> = {},
  count = 1,
): Promise<OutcomeOf<'claimForWorker'>> {
  const claims = Array.from({ length: count }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() }));
  return engine.backend.claimForWorker({
    partition: PARTITION,
    laneId: LANE,
    workerId: 'worker',
    workerInstanceId: 'worker-1',
    leaseTtlMs: TTL_MS,
    claims,
    ...facts,
  });
}

/** Claims exactly one execution. */
export async function take(
  engine: TestEngine,
  facts: Partial<ArgsOf<'claimForWorker'>> = {},
): Promise<ClaimedExecution> {
  const outcome = await claim(engine, facts);
  assert.equal(outcome.kind, 'claimed');
  return (outcome as Extract<typeof outcome, { kind: 'claimed' }>).executions[0] as ClaimedExecution;
}

export const fenceOf = ({
  leaseId,
  leaseEpoch,
  attemptId,
}: ClaimedExecution): { leaseId: string; leaseEpoch: number; attemptId: string } => ({
  leaseId,
  leaseEpoch,
  attemptId,
});

export async function refused(call: Promise<unknown>, code: ErrorCode): Promise<EngineError> {
  const error = await call.then(
    () => assert.fail(`was accepted instead of refused with ${code}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof EngineError, `threw ${String(error)} instead of an EngineError`);
  assert.equal(error.code, code);
  return error;
}

export const stateOf = (engine: TestEngine, executionId: string): Promise<string | undefined> =>
  engine.backend.readExecutionState({ executionId });

export async function eventTypes(engine: TestEngine): Promise<string[]> {
  const { events } = await engine.backend.readLog({ partition: PARTITION, limit: 1_000 });
  return events.map(({ event }) => event.type);
}

/** Longest wait for something in real time, ms: a wake that takes longer is lost. */
const WAKE_LIMIT_MS = 20_000;

/** Resolves when the condition holds; fails with this message when it does not soon. */
export async function soon(holds: () => boolean, otherwise: string): Promise<void> {
  const deadline = performance.now() + WAKE_LIMIT_MS;
  while (!holds()) {
    assert.ok(performance.now() < deadline, otherwise);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

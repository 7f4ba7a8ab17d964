/** Replaying many executions: bounded, each for itself, and with a report that says where to continue. */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../model/errors.js';
import { executionIdOf } from '../../model/ids.js';
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { Backend } from '../../src/backend/backend.js';
import { systemClock } from '../../src/engine/clock.js';
import { replayMany, type ReplayManyOptions } from '../../src/engine/replay-many.js';
import { memory } from '../../src/memory/index.js';

const TOGETHER = 50;
const idOf = (n: number): string => executionIdOf(0, `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`);
const rowOf = (n: number) => ({ executionId: idOf(n), replayCount: 0 }) as ExecutionSummary;

const options: ReplayManyOptions = {
  dryRun: false,
  limit: 1_000,
  reason: 'fixed',
  requestedBy: 'ann',
  steps: 'keep',
  signal: undefined,
  after: undefined,
  clock: systemClock,
  call: (command) => command(),
};

async function* rows(count: number, error?: Error): AsyncGenerator<ExecutionSummary, void, undefined> {
  for (let n = 0; n < count; n++) yield rowOf(n);
  if (error !== undefined) throw error;
}

/** A backend with executions that have failed, numbered from 0. */
async function failed(count: number): Promise<Backend> {
  const backend = memory({ partitions: { count: 1 } });
  for (let n = 0; n < count; n++) {
    const facts = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };
    await backend.createExecution({ executionId: idOf(n), ...facts });
    await backend.cancelExecution({ executionId: idOf(n), reason: 'r', source: 'operator_override' });
  }
  return backend;
}

describe('replayMany', () => {
  it('stops at its limit, and reports the execution after which the next call continues', async () => {
    const report = await replayMany(await failed(3), rows(3), { ...options, limit: 2 });
    expect(report).toMatchObject({ matched: 2, replayed: 2, complete: false, next: idOf(1) });
  });

  it('is complete when its limit is the end of the list', async () => {
    const report = await replayMany(await failed(2), rows(2), { ...options, limit: 2 });
    expect(report).toMatchObject({ matched: 2, replayed: 2, complete: true, next: undefined });
  });

  it('has fifty replays under way at most', async () => {
    let [open, most] = [0, 0];
    const call: ReplayManyOptions['call'] = async (command) => {
      most = Math.max(most, ++open);
      await new Promise(setImmediate);
      return command().finally(() => open--);
    };
    const report = await replayMany(await failed(TOGETHER + 10), rows(TOGETHER + 10), { ...options, call });
    expect(report).toMatchObject({ replayed: TOGETHER + 10, complete: true });
    expect(most).toBe(TOGETHER);
  });

  it('ends early with a report when reading the list fails', async () => {
    const gone = new EngineError('transport_failed', 'gone.');
    const report = await replayMany(await failed(3), rows(3, gone), { ...options, after: idOf(9) });
    expect(report).toMatchObject({ matched: 3, replayed: 3, complete: false, next: idOf(9) });
  });

  it('reports what it replayed when looking beyond its limit fails', async () => {
    const gone = new EngineError('transport_failed', 'gone.');
    const report = await replayMany(await failed(2), rows(2, gone), { ...options, limit: 2 });
    expect(report).toMatchObject({ matched: 2, replayed: 2, complete: false, next: idOf(1) });
  });

  it('throws when the list refuses its arguments', async () => {
    const refused = new EngineError('invalid_input', 'no such lane.');
    await expect(replayMany(await failed(1), rows(1, refused), options)).rejects.toBe(refused);
  });

  it('reports failed and needless replays, and replays the rest', async () => {
    const backend = await failed(2);
    const policy = { maxReplayCount: 0 };
    const facts = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c', policy };
    await backend.createExecution({ executionId: idOf(2), ...facts });
    await backend.cancelExecution({ executionId: idOf(2), reason: 'r', source: 'operator_override' });
    const report = await replayMany(backend, rows(4), options);
    expect(report).toMatchObject({ matched: 4, replayed: 2, skipped: 1, failed: 1, complete: true });
    expect(report.faults).toMatchObject([{ executionId: idOf(2), code: 'max_replays_exhausted' }]);
  });
});

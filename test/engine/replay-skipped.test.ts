/** Bringing back what was skipped because of a replayed member: also while consequences are due, and after a failure. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EngineError } from '../../model/errors.js';
import type { ExecutionSummary } from '../../model/listing/list.js';
import type { Backend } from '../../src/backend/backend.js';
import { systemClock } from '../../src/engine/clock.js';
import { replayMany } from '../../src/engine/replay-many.js';
import { replaySkipped } from '../../src/engine/replay-skipped.js';
import { LANE } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

/** More edges than the call that ends an upstream resolves. */
const MANY = 150;

const options = {
  reason: '',
  requestedBy: undefined,
  clock: systemClock,
  call: <T>(command: () => Promise<T>): Promise<T> => command(),
};

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  beforeEach(() => engine.clear());
  afterAll(() => engine?.close());

  /** A cancelled member, one that was skipped because of it, and many that depend on that one. */
  async function setUp({ maxReplayCount = 10, leaves = MANY } = {}) {
    const [first, middle, ...rest] = Array.from({ length: leaves + 2 }, () => engine.executionId()) as [
      string,
      string,
      ...string[],
    ];
    const flowId = engine.executionId();
    const members = [first, middle, ...rest].map((executionId) => ({
      executionId,
      laneId: LANE,
      executionKind: 'k',
      policy: executionId === rest[0] ? { maxReplayCount } : undefined,
    }));
    const edge = (upstreamExecutionId: string, downstreamExecutionId: string) => ({
      edgeId: engine.uuid(),
      upstreamExecutionId,
      downstreamExecutionId,
    });
    const edges = [edge(first, middle), ...rest.map((id) => edge(middle, id))];
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges } });
    await engine.backend.cancelExecution({ executionId: first, reason: 'r', source: 'operator_override' });
    const counts = async () => (await engine.backend.describeFlow({ flowId }))?.members;
    return { first, middle, rest, counts };
  }

  /** The backend, with calls of its own in place of some. */
  const failing = (calls: Partial<Backend>): Backend => Object.assign(Object.create(engine.backend) as Backend, calls);

  const gone = (): Promise<never> => Promise.reject(new EngineError('transport_failed', 'gone.'));

  test('a skipped member whose own consequences are still due is brought back', async () => {
    const { first, counts } = await setUp();
    await engine.backend.replayExecution({ executionId: first });
    expect(await replaySkipped(engine.backend, { ...options, executionId: first })).toEqual([]);
    expect(await counts()).toEqual({ waiting: 1, waiting_children: MANY + 1 });
  });

  test('consequences that cannot be applied are reported', async () => {
    const { first, middle } = await setUp();
    await engine.backend.replayExecution({ executionId: first });
    const applied = {
      ...{ kind: 'applied', promoted: 0, leasesExpired: 0, grantsLapsed: 0, waitpointsExpired: 0, purged: 0 },
      ...{ attemptsTimedOut: [], expired: [], suspensionsTimedOut: [], deliveries: [], setAside: [], others: {} },
    } as unknown as Awaited<ReturnType<Backend['applyDue']>>;
    const backend = failing({ applyDue: async () => applied });
    const left = await replaySkipped(backend, { ...options, executionId: first });
    expect(left).toMatchObject([{ executionId: middle, error: { code: 'execution_not_eligible' } }]);
  });

  test('a call that is repeated after a failure continues', async () => {
    const { first, middle, counts } = await setUp({ leaves: 3 });
    await engine.backend.replayExecution({ executionId: first });
    const backend = failing({
      listEdges: (args) => (args.executionId === middle ? gone() : engine.backend.listEdges(args)),
    });
    const left = await replaySkipped(backend, { ...options, executionId: first });
    expect(left).toMatchObject([{ executionId: middle, error: { code: 'transport_failed' } }]);
    expect(await counts()).toEqual({ waiting: 1, waiting_children: 1, skipped: 3 });
    expect(await replaySkipped(engine.backend, { ...options, executionId: first })).toEqual([]);
    expect(await counts()).toEqual({ waiting: 1, waiting_children: 4 });
  });

  test('a member that may not be replayed again is reported, and the others run again', async () => {
    const { first, rest, counts } = await setUp({ leaves: 3, maxReplayCount: 0 });
    await engine.backend.replayExecution({ executionId: first });
    const left = await replaySkipped(engine.backend, { ...options, executionId: first });
    expect(left).toMatchObject([{ executionId: rest[0], error: { code: 'max_replays_exhausted' } }]);
    expect(await counts()).toEqual({ waiting: 1, waiting_children: 3, skipped: 1 });
  });

  test('members that cannot be read are reported', async () => {
    const { first } = await setUp({ leaves: 1 });
    await engine.backend.replayExecution({ executionId: first });
    const backend = failing({
      listEdges: async () => ({ edges: [], damaged: [engine.uuid()], nextCursor: undefined }),
    });
    const left = await replaySkipped(backend, { ...options, executionId: first });
    expect(left).toMatchObject([{ executionId: first, error: { code: 'corruption' } }]);
  });

  test('an abort ends the call, and the report names the members that it left', async () => {
    const { first, middle, counts } = await setUp({ leaves: 3 });
    await engine.backend.replayExecution({ executionId: first });
    const stop = new AbortController();
    const backend = failing({
      listEdges: async (args) => {
        if (args.executionId === middle) stop.abort(new Error('enough'));
        return engine.backend.listEdges(args);
      },
    });
    const left = await replaySkipped(backend, { ...options, executionId: first, signal: stop.signal });
    expect(left).toMatchObject([{ executionId: middle, error: { message: 'enough' } }]);
    expect(await counts()).toEqual({ waiting: 1, waiting_children: 1, skipped: 3 });
  });

  test('a member behind several replayed members is replayed once', async () => {
    const [count, leaves] = [10, 20];
    const ids = Array.from({ length: count + leaves + 1 }, () => engine.executionId());
    const [roots, join, rest] = [ids.slice(0, count), ids[count] as string, ids.slice(count + 1)];
    const flowId = engine.executionId();
    const members = ids.map((executionId) => ({ executionId, laneId: LANE, executionKind: 'k' }));
    const edges = [...roots.map((id) => [id, join]), ...rest.map((id) => [join, id])].map(([up, down]) => ({
      edgeId: engine.uuid(),
      upstreamExecutionId: up as string,
      downstreamExecutionId: down as string,
    }));
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges } });
    for (const executionId of roots)
      await engine.backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
    let reads = 0;
    const backend = failing({
      readExecutionInfo: (args) => {
        reads++;
        return engine.backend.readExecutionInfo(args);
      },
    });
    async function* rows() {
      for (const executionId of roots) yield { executionId, replayCount: 0 } as ExecutionSummary;
    }
    const list = { dryRun: false, limit: 99, signal: undefined, after: undefined };
    const report = await replayMany(backend, rows(), { ...options, steps: 'keep', ...list });
    expect(report).toMatchObject({ replayed: count, failed: 0, faults: [] });
    expect((await engine.backend.describeFlow({ flowId }))?.members).toEqual({
      waiting: count,
      waiting_children: leaves + 1,
    });
    expect(reads).toBeLessThanOrEqual(count + leaves);
  });

  test('a replay by list counts a run once if the store fails after it, and a repeated call continues', async () => {
    const { first, counts } = await setUp({ leaves: 3 });
    const replay = (backend: Backend) => {
      async function* rows() {
        const info = await engine.backend.readExecutionInfo({ executionId: first });
        yield { executionId: first, replayCount: info?.replayCount } as ExecutionSummary;
      }
      return replayMany(backend, rows(), {
        ...options,
        steps: 'keep',
        dryRun: false,
        limit: 9,
        signal: undefined,
        after: undefined,
      });
    };
    const report = await replay(failing({ listEdges: gone }));
    expect(report).toMatchObject({ matched: 1, replayed: 1, skipped: 0, failed: 0, complete: false });
    expect(report.faults).toMatchObject([{ executionId: first, code: 'transport_failed' }]);
    const again = await replay(engine.backend);
    expect(again).toMatchObject({ matched: 1, replayed: 0, skipped: 1, failed: 0, faults: [], complete: true });
    expect(await counts()).toEqual({ waiting: 1, waiting_children: 4 });
  });
});

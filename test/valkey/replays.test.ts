/** What only a server can get wrong about replays and tags: entries that stay behind, and the text that is stored. */
import { Valkey } from 'iovalkey';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SHORT_SLOT, FIELDS } from '../../lua/layout.js';
import { memberOf } from '../../model/ids.js';
import type { Command } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
const PREFIX = `replays-${process.pid}:`;

let engine: TestEngine;
let admin: Valkey;
beforeAll(async () => {
  const { url } = await sharedValkey();
  admin = new Valkey(url);
  engine = await testEngine({ backend: { url }, prefix: PREFIX, retentionMs: 60_000 });
});
afterAll(async () => {
  admin?.disconnect();
  await engine?.close();
});
beforeEach(() => engine.clear());

const named = { namespace: 'n', laneId: 'l', executionKind: 'k', creatorIdentity: 'c' };

/** Claims and completes what there is. */
async function complete(): Promise<string[]> {
  const first = await completeSome();
  return first.length === 0 ? [] : [...first, ...(await complete())];
}

async function completeSome(): Promise<string[]> {
  const outcome = await engine.backend.claimForWorker({
    partition: PARTITION,
    laneId: 'l',
    workerId: 'w',
    workerInstanceId: 'w-1',
    claims: Array.from({ length: 100 }, () => ({ leaseId: engine.uuid(), attemptId: engine.uuid() })),
  });
  const taken: readonly ClaimedExecution[] = outcome.kind === 'claimed' ? outcome.executions : [];
  if (taken.length === 0) return [];
  await engine.backend.execute(
    taken.map(
      ({ executionId, leaseId, leaseEpoch, attemptId }): Command => ({
        name: 'completeExecution',
        args: { executionId, fence: { leaseId, leaseEpoch, attemptId }, resultPayload: Buffer.alloc(100, 7) },
      }),
    ),
  );
  return taken.map(({ executionId }) => executionId);
}

describe('replays', () => {
  it('of a long retention slot: an execution that ended twice in a minute is purged once, and nothing is left', async () => {
    const count = SHORT_SLOT + 10;
    await engine.backend.execute(
      Array.from(
        { length: count },
        (): Command => ({
          name: 'createExecution',
          args: { executionId: engine.executionId(), ...named },
        }),
      ),
    );
    const ids = (await complete()).slice(0, 5);
    for (const executionId of ids) await engine.backend.replayExecution({ executionId });
    expect(await complete()).toHaveLength(5);
    const last = ids[0] as string;
    await engine.backend.replayExecution({ executionId: last });
    await engine.advance(180_000);
    // The one that was replayed and not taken up again is still there; its entries in the slot count for nothing.
    expect((await engine.backend.listExecutions({ partition: PARTITION })).executions).toEqual([last]);
    const { events } = await engine.backend.readLog({ partition: PARTITION, limit: 1_000 });
    const purged = events.flatMap(({ event }) => (event.type === 'execution_purged' ? [event.executionId] : []));
    expect(new Set(purged).size).toBe(count - 1);
    expect(purged).toHaveLength(count - 1);
    expect(await engine.canonicalState(PARTITION)).toMatchObject({ strays: [], results: {}, slots: {} });
  });

  it('of a long retention slot: an execution that has become a parent since is purged with its flow only', async () => {
    const { backend } = engine;
    const ids = Array.from({ length: SHORT_SLOT + 1 }, () => engine.executionId());
    const creations = ids.map((executionId): Command => ({ name: 'createExecution', args: { executionId, ...named } }));
    await backend.execute(creations);
    await complete();
    const executionId = ids[0] as string;
    await backend.replayExecution({ executionId });
    const claims = [{ leaseId: engine.uuid(), attemptId: engine.uuid() }];
    const worker = { workerId: 'w', workerInstanceId: 'w-1' };
    await backend.claimForWorker({ partition: PARTITION, laneId: 'l', ...worker, claims });
    const parent = { executionId, source: 'operator_override' } as const;
    const child = { executionId: engine.executionId(), laneId: 'children', executionKind: 'k', edgeId: engine.uuid() };
    await backend.spawnChildren({ ...parent, flowId: engine.executionId(), children: [child] });
    await backend.completeExecution(parent);
    await engine.advance(180_000);
    expect(await backend.describeExecution({ executionId })).toMatchObject({ publicState: 'completed' });
    expect(await backend.describeExecution({ executionId: ids[1] as string })).toBeUndefined();
  });
});

describe('tags', () => {
  it('are stored as the client would write them, in key order', async () => {
    const executionId = engine.executionId();
    const given = { 'z.a': '"', 'a.b': '\\', 'a.b_c': '\u2028\n\t€😀' };
    await engine.backend.createExecution({ executionId, ...named, tags: given });
    await engine.backend.setExecutionTags({ executionId, tags: { 'm.n': 'x', 'a.0': '', 'a.b': '\\"' } });
    const stored = (await admin.hmget(`${PREFIX}${PARTITION}:${memberOf(executionId)}`, FIELDS.tags))[0];
    const details = (await admin.hmget(`${PREFIX}${PARTITION}:${memberOf(executionId)}:details`, FIELDS.tags))[0];
    const merged = { 'a.0': '', 'a.b': '\\"', 'a.b_c': given['a.b_c'], 'm.n': 'x', 'z.a': '"' };
    expect(stored === '>' ? details : stored).toBe(JSON.stringify(merged));
    expect(Object.keys((await engine.backend.getExecutionTags({ executionId })) ?? {})).toEqual(Object.keys(merged));
  });
});

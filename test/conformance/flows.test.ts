/** Flows as their callers meet them, on memory and on a server: a race, a chain with a branch that fails, children. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const PARTITION = '{fp:0}';
let minted = 0;
const uuid = (): string => `00000000-0000-4000-8000-${String(++minted).padStart(12, '0')}`;
const id = (): string => `${PARTITION}:${uuid()}`;
const member = (executionId: string) => ({ executionId, laneId: 'flows', executionKind: 'k' });

const engines: Record<string, TestEngine> = {};

beforeAll(async () => {
  const { url } = await sharedValkey();
  engines['memory'] = await testEngine();
  engines['valkey'] = await testEngine({ backend: { url } });
});
afterAll(async () => {
  for (const engine of Object.values(engines)) await engine.close();
});

const claim = async ({ backend }: TestEngine, count = 1, laneId = 'flows') => {
  const claims = Array.from({ length: count }, () => ({ leaseId: uuid(), attemptId: uuid() }));
  const worker = { workerId: 'w', workerInstanceId: 'w-1' };
  const answer = await backend.claimForWorker({ partition: PARTITION, laneId, ...worker, claims });
  return answer.kind === 'claimed' ? answer.executions : [];
};

const fenceOf = ({ leaseId, leaseEpoch, attemptId }: Awaited<ReturnType<typeof claim>>[number]) => ({
  leaseId,
  leaseEpoch,
  attemptId,
});

const settle = async ({ backend }: TestEngine): Promise<void> => {
  for (let i = 0; i < 100; i++) {
    const pass = await backend.applyDue({ partition: PARTITION });
    if (pass.kind === 'applied' && pass.others['walk'] === undefined) return;
  }
};

const stateOf = async ({ backend }: TestEngine, executionId: string) =>
  (await backend.describeExecution({ executionId }))?.publicState;

describe.each(['memory', 'valkey'])('on %s', (name) => {
  test('a flow that has ended is not cancelled, unless it accepts further members', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    for (const closed of [true, false]) {
      const [flowId, only] = [id(), id()];
      const members = [{ ...member(only), laneId: 'single' }];
      await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', closed, graph: { members } });
      const [fence] = (await claim(engine, 1, 'single')).map(fenceOf);
      await backend.completeExecution({ executionId: only, fence });
      const { purgeAt } = { ...(await backend.describeFlow({ flowId })) };
      const answer = await backend.cancelFlowHeader({ flowId, reason: 'too late' });
      expect(answer).toEqual(
        closed
          ? { kind: 'already_terminal', storedCancelReason: '', memberCount: 1 }
          : { kind: 'cancelled', cancellationPolicy: 'cancel_all', memberCount: 1 },
      );
      expect(await backend.describeFlow({ flowId })).toMatchObject({
        publicFlowState: closed ? 'completed' : 'cancelled',
        purgeAt,
      });
    }
  });

  /** The purge time of a flow that finished at `endedAt`, as a retention. */
  const retentionOf = async ({ backend }: TestEngine, flowId: string, endedAt: number): Promise<number> => {
    const { purgeAt = Infinity } = { ...(await backend.describeFlow({ flowId })) };
    return Math.floor((purgeAt - endedAt) / 60_000) * 60_000;
  };
  const retained = (retentionTtlMs: number) => ({ policy: { streamPolicy: { retentionTtlMs } } });

  test.each([
    [[120_000, 60_000], undefined, 120_000],
    [[60_000, undefined], undefined, 86_400_000],
    [[undefined, 200_000_000 - (200_000_000 % 60_000)], undefined, 200_000_000 - (200_000_000 % 60_000)],
    [[60_000, -1], undefined, Infinity],
    [[0], 600_000, 600_000],
  ])(
    'a flow with retentions of %j and a window of %s is kept for %s ms',
    async (retentions, dedupWindowMs, expected) => {
      const engine = engines[name] as TestEngine;
      await engine.clear();
      const { backend } = engine;
      const flowId = id();
      const [first, ...others] = retentions.map((ms) => ({
        ...member(id()),
        ...(ms === undefined ? {} : retained(ms)),
      }));
      const graph = { members: first === undefined ? [] : [first] };
      await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', dedupWindowMs, graph });
      for (const each of others) {
        await backend.createExecution({ ...each, namespace: 'n', creatorIdentity: 'c' });
        await backend.addExecutionToFlow({ flowId, executionId: each.executionId });
      }
      for (const { executionId } of [first, ...others].filter((each) => each !== undefined))
        await backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
      expect(await retentionOf(engine, flowId, engine.now())).toBe(expected);
    },
  );

  test('what is due behind thousands of flows of one minute comes first', async () => {
    const engine = engines[name] as TestEngine;
    await engine.clear();
    const { backend } = engine;
    const flows = Array.from({ length: LIMITS.maxPageSize + 50 }, () => ({ flowId: id(), executionId: id() }));
    for (let at = 0; at < flows.length; at += 50)
      await Promise.all(
        flows.slice(at, at + 50).map(async ({ flowId, executionId }) => {
          const graph = { members: [member(executionId)] };
          await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph });
          await backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
        }),
      );
    const { purgeAt = 0 } = { ...(await backend.describeFlow({ flowId: flows[0]?.flowId ?? '' })) };
    const delayed = id();
    const naming = { namespace: 'n', creatorIdentity: 'c' };
    await backend.createExecution({ ...member(delayed), ...naming, delayUntil: purgeAt + 1 });
    engine.setTime(purgeAt + 2);
    await backend.applyDue({ partition: PARTITION });
    expect(await stateOf(engine, delayed)).toBe('waiting');
    // Then the flows.
    await backend.applyDue({ partition: PARTITION });
    expect(await stateOf(engine, flows[0]?.executionId ?? '')).toBe(undefined);
  });

  test('children are kept with their parent, and with the key that names it', async () => {
    const engine = engines[name] as TestEngine;
    for (const [dedupWindowMs, childMs, expected] of [
      [60_000, 120_000, 300_000],
      [60_000, 600_000, 600_000],
      [900_000, 0, 900_000],
    ] as const) {
      await engine.clear();
      const { backend } = engine;
      const [flowId, parent, child] = [id(), id(), id()];
      const policy = { ...retained(300_000).policy, dedupWindowMs };
      const creation = { ...member(parent), namespace: 'n', creatorIdentity: 'c', idempotencyKey: 'k', policy };
      await backend.createExecution(creation);
      const [claimed] = await claim(engine);
      const fence = fenceOf(claimed as NonNullable<typeof claimed>);
      const children = [{ ...member(child), edgeId: uuid(), ...retained(childMs) }];
      await backend.spawnChildren({ executionId: parent, fence, flowId, children });
      for (const executionId of [child, parent])
        await backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
      expect(await retentionOf(engine, flowId, engine.now())).toBe(expected);
      await engine.advance(expected + 60_000);
      for (let pass = 0; pass < 5; pass++) await backend.applyDue({ partition: PARTITION });
      expect(await Promise.all([parent, child].map((each) => stateOf(engine, each)))).toEqual([undefined, undefined]);
      expect(await backend.describeFlow({ flowId })).toBe(undefined);
    }
  });

  test.each([
    ['long steps', false],
    ['long steps', true],
    ['a stream', false],
    ['a stream', true],
  ])('a pass purges fewer executions with %s (in a flow: %s)', async (what, isFlow) => {
    const engine = engines[name] as TestEngine;
    // The time passes for everything that is there.
    await engine.clear();
    const { backend } = engine;
    const ids = [id(), id(), id()];
    const members = ids.map((executionId) => ({ ...member(executionId), laneId: 'purged' }));
    const flow = { flowId: id(), flowKind: 'f', namespace: 'n', closed: true };
    if (isFlow) await backend.createFlow({ ...flow, graph: { members } });
    else for (const each of members) await backend.createExecution({ ...each, namespace: 'n', creatorIdentity: 'c' });
    const value = new Uint8Array(LIMITS.maxClaimedInputBytes + 1);
    for (const claimed of await claim(engine, 3, 'purged')) {
      const { executionId } = claimed;
      const step = { executionId, fence: fenceOf(claimed), stepName: 's', stepIndex: 0, encoding: 'bytes' };
      const frame = { executionId, attemptIndex: 0, fence: fenceOf(claimed), payload: new Uint8Array(1) };
      if (executionId === ids[1])
        await (what === 'a stream' ? backend.appendFrame(frame) : backend.recordStep({ ...step, value }));
      await backend.completeExecution({ executionId, fence: fenceOf(claimed) });
    }
    engine.setTime(engine.now() + 8 * 86_400_000);
    const purged: number[] = [];
    while (purged.length < 5) {
      const pass = await backend.applyDue({ partition: PARTITION, limit: 8 });
      if (pass.kind !== 'applied' || Object.keys(pass.others).length + pass.purged === 0) break;
      purged.push(pass.purged);
    }
    // Two without them cost eight units; the long value or the stream costs one more.
    expect(purged).toEqual(isFlow ? [1, 1, 1, 0] : [1, 1, 1]);
  });

  test('a delay that ends after many flows are due for their purge does not wait for it', async () => {
    const engine = engines[name] as TestEngine;
    await engine.clear();
    const { backend } = engine;
    const flows = Array.from({ length: 5 }, id);
    for (const flowId of flows)
      await backend.createFlow({
        flowId,
        flowKind: 'f',
        namespace: 'n',
        closed: true,
        graph: { members: [member(id())] },
      });
    for (const flowId of flows) await backend.cancelFlowHeader({ flowId });
    engine.setTime(engine.now() + 8 * 86_400_000);
    const delayed = {
      ...member(id()),
      laneId: 'later',
      namespace: 'n',
      creatorIdentity: 'c',
      delayUntil: engine.now() + 1,
    };
    await backend.createExecution(delayed);
    engine.setTime(engine.now() + 1);
    const pass = { partition: PARTITION, limit: 4 };
    expect(await backend.applyDue(pass)).toMatchObject({ promoted: 1, purged: 0, others: {} });
    for (let n = 0; n < 2 * flows.length; n++)
      expect(await backend.applyDue(pass)).toMatchObject({ others: { flow: 1 } });
    expect(await backend.listFlows({ partition: PARTITION })).toMatchObject({ flows: [] });
  });

  test('a replayed member starts if the walk of its race has passed it, and does not if the walk has yet to reach it', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [flowId, judge] = [id(), id()];
    const racers = Array.from({ length: 150 }, id);
    const edges = racers.map((upstreamExecutionId) => ({
      ...{ edgeId: uuid(), upstreamExecutionId, downstreamExecutionId: judge },
    }));
    await backend.createFlow({
      ...{ flowId, flowKind: 'f', namespace: 'n' },
      graph: {
        members: [...racers, judge].map((each) => ({ ...member(each), laneId: 'race' })),
        edges,
        groups: [{ downstreamExecutionId: judge, policy: { kind: 'any_of', onSatisfied: 'cancel_remaining' } }],
      },
    });
    const [winner] = await claim(engine, 1, 'race');
    await backend.completeExecution({ executionId: racers[0] as string, fence: winner && fenceOf(winner) });
    const [passed, last] = [racers[1] as string, racers.at(-1) as string];
    expect([await stateOf(engine, passed), await stateOf(engine, last)]).toEqual(['cancelled', 'waiting']);
    await backend.replayExecution({ executionId: passed });
    const grant = (executionId: string) =>
      backend.issueClaimGrant({
        ...{ executionId, workerId: 'w', workerInstanceId: 'w-1', grantId: uuid(), grantTtlMs: 10_000 },
      });
    await expect(grant(last)).rejects.toMatchObject({ code: 'execution_not_eligible' });
    expect((await claim(engine, 2, 'race')).map(({ executionId }) => executionId)).toEqual([judge, passed]);
    await settle(engine);
    expect([await stateOf(engine, passed), await stateOf(engine, last)]).toEqual(['active', 'cancelled']);
  });

  test('a parent that waits for its children gets no other dependencies, because they would be cancelled with the children', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [flowId, parent, other, child] = [id(), id(), id(), id()];
    await backend.createFlow({
      ...{ flowId, flowKind: 'f', namespace: 'n' },
      graph: {
        members: [
          { ...member(parent), laneId: 'parents' },
          { ...member(other), laneId: 'other' },
        ],
      },
    });
    const [fence] = (await claim(engine, 1, 'parents')).map(fenceOf);
    const owned = { executionId: parent, fence };
    const children = [{ ...member(child), laneId: 'other', edgeId: uuid() }];
    await backend.spawnChildren({ ...owned, flowId, children });
    await backend.moveToWaitingChildren(owned);
    const edge = { flowId, edgeId: uuid(), upstreamExecutionId: other, downstreamExecutionId: parent };
    await expect(backend.addDependency(edge)).rejects.toMatchObject({ code: 'execution_not_eligible' });
    await backend.cancelExecution({ executionId: parent, reason: 'r', source: 'operator_override' });
    expect(await Promise.all([child, other].map((each) => stateOf(engine, each)))).toEqual(['cancelled', 'waiting']);
  });

  test('a race of 300 members: the third answer cancels the others, and the downstream continues', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [flowId, last] = [id(), id()];
    const racers = Array.from({ length: 300 }, id);
    await backend.createFlow({
      flowId,
      flowKind: 'race',
      namespace: 'n',
      graph: {
        members: [...racers, last].map(member),
        edges: racers.map((from) => ({ edgeId: uuid(), upstreamExecutionId: from, downstreamExecutionId: last })),
        groups: [{ downstreamExecutionId: last, policy: { kind: 'quorum', k: 3, onSatisfied: 'cancel_remaining' } }],
      },
    });
    for (const { executionId, ...fence } of await claim(engine, 3)) {
      const { leaseId, leaseEpoch, attemptId } = fence;
      await backend.completeExecution({ executionId, fence: { leaseId, leaseEpoch, attemptId } });
    }
    expect(await stateOf(engine, last)).toBe('waiting');
    await settle(engine);
    expect(await backend.describeFlow({ flowId })).toMatchObject({
      publicFlowState: 'open',
      nodeCount: 301,
      edgeCount: 300,
      members: { completed: 3, cancelled: 297, waiting: 1 },
    });
    // What is rebuilt from the records of executions leaves the counts of flows as they are.
    expect(await backend.verifyPartition({ partition: PARTITION })).toMatchObject({ findings: [], setAside: [] });
    expect((await backend.describeFlow({ flowId }))?.members).toEqual({ completed: 3, cancelled: 297, waiting: 1 });
    const page = await backend.listEdges({ executionId: last, direction: 'incoming', limit: 200 });
    expect([page.edges.length, page.nextCursor === undefined]).toEqual([200, false]);
  });

  test('results come with the claim, up to a bound that they may reach: short ones, none, long ones', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const rest = new Uint8Array(LIMITS.maxResultBytesPerClaim - 600_001).fill(4);
    const results = [
      ...[new Uint8Array(600_000).fill(1), undefined, Buffer.from('2'), new Uint8Array(600_000).fill(3)],
      ...[rest, Buffer.from('5'), undefined],
    ];
    const [flowId, last] = [id(), id()];
    const upstreams = results.map(id);
    const edges = [...upstreams, id()].map((from, i) => ({
      edgeId: uuid(),
      upstreamExecutionId: from,
      downstreamExecutionId: last,
      dataPassingRef: i === results.length ? undefined : `result ${i}`,
    }));
    const ids = [...edges.map(({ upstreamExecutionId }) => upstreamExecutionId), last];
    const policy = { timeoutPolicy: { attemptTimeoutMs: 60_000 } };
    const graph = { members: ids.map((each) => ({ ...member(each), laneId: 'given', policy })), edges };
    await backend.createFlow({ flowId, flowKind: 'given', namespace: 'n', graph });
    for (const { executionId, leaseId, leaseEpoch, attemptId } of await claim(engine, edges.length, 'given')) {
      const resultPayload = results[upstreams.indexOf(executionId)];
      const resultEncoding = executionId === upstreams[2] ? 'json' : undefined;
      const fence = { leaseId, leaseEpoch, attemptId };
      await backend.completeExecution({ executionId, fence, resultPayload, resultEncoding });
    }
    const [claimed] = await claim(engine, 1, 'given');
    // What is missing has to be read, and that is not the time of the attempt.
    const { attemptTimeoutMs } = policy.timeoutPolicy;
    expect(claimed).toMatchObject({ executionId: last, moreUpstreamResults: true });
    expect(claimed).toMatchObject({ attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: attemptTimeoutMs });
    const given = claimed?.upstreamResults?.map(({ result, ...of }) => ({
      ...of,
      bytes: result && [...result].length,
    }));
    const row = (i: number, resultEncoding?: string) => ({
      ...{ edgeId: edges[i]?.edgeId, dataPassingRef: `result ${i}`, resultEncoding },
    });
    expect(given).toEqual([
      { ...row(0), bytes: 600_000 },
      { ...row(1), bytes: undefined },
      { ...row(2, 'json'), bytes: 1 },
      { ...row(4), bytes: rest.byteLength },
      { ...row(6), bytes: undefined },
    ]);
  });

  test('a claim takes the members of one flow, and ends those of a cancelled flow', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const flowOf = (flowId: string, ids: readonly string[]) => ({
      ...{ flowId, flowKind: 'mixed', namespace: 'n' },
      graph: { members: ids.map((each) => ({ ...member(each), laneId: 'mixed' })) },
    });
    // All are created in one millisecond, so they are claimed in the order of their ids, and have one life.
    const [healthy, cancelled, first] = [id(), id(), id()];
    const others = Array.from({ length: 150 }, id);
    const last = id();
    await backend.createFlow(flowOf(healthy, [first, last]));
    await backend.createFlow(flowOf(cancelled, others));
    await backend.cancelFlowHeader({ flowId: cancelled });
    expect(await stateOf(engine, others[0] as string)).toBe('waiting');
    const claimed = await claim(engine, 100, 'mixed');
    expect(claimed.map(({ executionId }) => executionId)).toEqual([first, last]);
    expect(await stateOf(engine, others[0] as string)).toBe('cancelled');
    await settle(engine);
    expect(await backend.describeFlow({ flowId: healthy })).toMatchObject({ members: { active: 2 } });
    expect(await backend.describeFlow({ flowId: cancelled })).toMatchObject({ members: { cancelled: 150 } });
  });

  test('each of several equal completions in one call is checked by its own fence', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [flowId, last] = [id(), id()];
    const upstreams = [id(), id(), id()];
    const edges = upstreams.map((from) => ({
      ...{ edgeId: uuid(), upstreamExecutionId: from, downstreamExecutionId: last },
    }));
    const members = [...upstreams, last].map((each) => ({ ...member(each), laneId: 'alike' }));
    await backend.createFlow({ flowId, flowKind: 'alike', namespace: 'n', graph: { members, edges } });
    const owned = await claim(engine, 3, 'alike');
    const complete = (wrong: number) =>
      backend.execute(
        owned.map(({ executionId, leaseId, leaseEpoch, attemptId }, i) => ({
          name: 'completeExecution' as const,
          args: { executionId, fence: { leaseId, leaseEpoch: i === wrong ? leaseEpoch + 1 : leaseEpoch, attemptId } },
        })),
      );
    const codes = (answers: Awaited<ReturnType<typeof complete>>) =>
      answers.map((answer) => (answer.ok ? answer.outcome.kind : answer.error.code));
    expect(codes(await complete(1))).toEqual(['completed', 'stale_lease', 'completed']);
    expect(await stateOf(engine, last)).toBe('waiting_children');
    expect(codes(await complete(-1))).toEqual(['completed', 'completed', 'completed']);
    expect(await stateOf(engine, last)).toBe('waiting');
  });

  test('members behind a failure are skipped, and the flow fails once all members have ended', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [flowId, first, broken, behind] = [id(), id(), id(), id()] as [string, string, string, string];
    const edge = (from: string, to: string) => ({
      edgeId: uuid(),
      upstreamExecutionId: from,
      downstreamExecutionId: to,
    });
    await backend.createFlow({
      flowId,
      flowKind: 'nightly',
      namespace: 'n',
      graph: { members: [first, broken, behind].map(member), edges: [edge(first, broken), edge(broken, behind)] },
    });
    const source = 'operator_override' as const;
    await backend.cancelExecution({ executionId: first, reason: 'broken', source });
    expect([await stateOf(engine, broken), await stateOf(engine, behind)]).toEqual(['skipped', 'skipped']);
    expect(await backend.describeFlow({ flowId })).toMatchObject({ publicFlowState: 'failed' });
    expect(await backend.evaluateFlowEligibility({ executionId: behind })).toBe('terminal');
    expect(await backend.resolveExecutionFlowId({ executionId: behind })).toBe(flowId);
  });

  test('a parent waits for its children without a slot', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [parent, flowId] = [id(), id()];
    await backend.createExecution({ ...member(parent), laneId: 'parents', namespace: 'n', creatorIdentity: 'c' });
    const source = 'operator_override' as const;
    const claims = [{ leaseId: uuid(), attemptId: uuid() }];
    const worker = { workerId: 'w', workerInstanceId: 'w-1' };
    await backend.claimForWorker({ partition: PARTITION, laneId: 'parents', ...worker, claims });
    const children = Array.from({ length: 10 }, () => ({ ...member(id()), laneId: 'children', edgeId: uuid() }));
    await backend.spawnChildren({ executionId: parent, source, flowId, children });
    await backend.moveToWaitingChildren({ executionId: parent, source });
    expect(await stateOf(engine, parent)).toBe('waiting_children');
    for (const { executionId } of children) await backend.cancelExecution({ executionId, reason: '', source });
    expect(await stateOf(engine, parent)).toBe('waiting');
    expect(await backend.listFlowMembers({ flowId, limit: 1 })).toMatchObject({
      members: [{ executionId: parent, group: { totalDeps: 10, failedCount: 10, groupState: 'impossible' } }],
    });
  });

  test('a parent of two groups gets the results of both, and a replay of it follows the replays of its children', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [parent, flowId, first, second, newest] = [id(), id(), id(), id(), id()];
    const lanes = { own: `two groups ${name}`, children: `of two groups ${name}` };
    const fenced = async (laneId: string, count = 1) => {
      const found = await claim(engine, count, laneId);
      return found.map(({ executionId, leaseId, leaseEpoch, attemptId, ...rest }) => ({
        ...{ executionId, fence: { leaseId, leaseEpoch, attemptId }, rest },
      }));
    };
    const [owner] = await (async () => {
      await backend.createExecution({ ...member(parent), laneId: lanes.own, namespace: 'n', creatorIdentity: 'c' });
      return fenced(lanes.own);
    })();
    if (owner === undefined) throw new Error('The parent was not claimed.');
    const spawn = (executionId: string, children: readonly string[], asNewGroup: boolean) =>
      backend.spawnChildren({
        ...{ executionId, fence: owner.fence, flowId, asNewGroup },
        children: children.map((each) => ({
          ...{ ...member(each), laneId: lanes.children, edgeId: uuid(), dataPassingRef: each.slice(-2) },
        })),
      });
    await spawn(parent, [first, second], false);
    await spawn(parent, [newest], true);
    const waitpoints = [{ waitpointId: uuid(), waitpointKey: 'k' }];
    await backend.suspendExecution({
      ...{ executionId: parent, fence: owner.fence, suspensionId: uuid(), waitpoints },
      ...{ resumeCondition: { type: 'operator_only' }, seenChildren: 0, awaitedChildren: 3 },
    });
    const ends = async (except?: string) => {
      for (const { executionId, fence } of await fenced(lanes.children, 3)) {
        if (executionId !== except)
          await backend.completeExecution({ executionId, fence, resultPayload: Buffer.from('1') });
        else await backend.failExecution({ executionId, fence, failureReason: 'r', failureClass: 'permanent' });
      }
    };
    const given = (claimed: Awaited<ReturnType<typeof fenced>>[number] | undefined) =>
      claimed?.rest.upstreamResults?.map(({ dataPassingRef }) => dataPassingRef).sort();
    await ends(first);
    const [again] = await fenced(lanes.own);
    expect(given(again)).toEqual([second, newest].map((each) => each.slice(-2)).sort());
    if (again === undefined) throw new Error('The parent was not resumed.');
    await backend.failExecution({
      executionId: parent,
      fence: again.fence,
      failureReason: 'r',
      failureClass: 'permanent',
    });
    await backend.replayExecution({ executionId: first });
    await ends();
    await backend.replayExecution({ executionId: parent });
    const { edges } = await backend.listEdges({ executionId: parent, direction: 'incoming' });
    expect(edges.map(({ edgeState, late }) => [edgeState, late])).toEqual(Array(3).fill(['satisfied', false]));
    const [last] = await fenced(lanes.own);
    expect(given(last)).toEqual([first, second, newest].map((each) => each.slice(-2)).sort());
  });

  test('a child of an earlier group can start while the siblings of a newer one are still being cancelled', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [parent, flowId, earlier] = [id(), id(), id()];
    const laneId = `earlier ${name}`;
    await backend.createExecution({ ...member(parent), laneId, namespace: 'n', creatorIdentity: 'c' });
    const [fence] = (await claim(engine, 1, laneId)).map(fenceOf);
    type Children = Parameters<typeof backend.spawnChildren>[0]['children'];
    const spawn = (children: Children, more: object) =>
      backend.spawnChildren({ ...{ executionId: parent, fence, flowId, ...more }, children });
    const racers = Array.from({ length: 80 }, id);
    // The walk reaches edges with lower ids first.
    await spawn([{ ...member(earlier), laneId: `${laneId} 1`, edgeId: uuid().replace(/^0/, 'f') }], {});
    await spawn(
      racers.map((executionId) => ({ ...member(executionId), laneId, edgeId: uuid() })),
      { policy: { kind: 'any_of', onSatisfied: 'cancel_remaining' }, asNewGroup: true },
    );
    const [winner] = await claim(engine, 1, laneId);
    await backend.completeExecution({ executionId: winner?.executionId ?? '', fence: winner && fenceOf(winner) });
    expect(await stateOf(engine, racers.at(-1) as string)).toBe('waiting');
    expect(await claim(engine, 1, `${laneId} 1`)).toMatchObject([{ executionId: earlier }]);
  });

  test('ends of children are numbered, also of siblings that are cancelled together', async () => {
    const engine = engines[name] as TestEngine;
    const { backend } = engine;
    const [parent, flowId] = [id(), id()];
    const lanes = { own: `suspended parents ${name}`, children: `raced ${name}` };
    await backend.createExecution({ ...member(parent), laneId: lanes.own, namespace: 'n', creatorIdentity: 'c' });
    const [owner] = await claim(engine, 1, lanes.own);
    const { leaseId = '', leaseEpoch = 0, attemptId = '' } = owner ?? {};
    const fence = { leaseId, leaseEpoch, attemptId };
    const children = Array.from({ length: 10 }, () => ({ ...member(id()), laneId: lanes.children, edgeId: uuid() }));
    const policy = { kind: 'any_of', onSatisfied: 'cancel_remaining' } as const;
    await backend.spawnChildren({ executionId: parent, fence, flowId, policy, children });
    const [first] = await claim(engine, 1, lanes.children);
    const suspension = {
      ...{ executionId: parent, fence, suspensionId: uuid(), waitpoints: [{ waitpointId: uuid(), waitpointKey: 'k' }] },
      resumeCondition: { type: 'operator_only' },
      ...{ seenChildren: 0, awaitedChildren: 1 },
    } as const;
    const signal = (payload?: Uint8Array) =>
      backend.signalExecution({ executionId: parent, signalId: uuid(), signalName: 'other', payload });
    await signal();
    const tooMany = { ...suspension, awaitedChildren: 11 };
    await expect(backend.suspendExecution(tooMany)).rejects.toMatchObject({
      ...{ code: 'invalid_input', detail: { field: 'awaitedChildren', openChildren: '10' } },
    });
    await backend.suspendExecution({ ...suspension, idempotencyKey: 'k' });
    expect(await stateOf(engine, parent)).toBe('suspended');
    await expect(
      backend.suspendExecution({ ...suspension, idempotencyKey: 'k', awaitedChildren: 2 }),
    ).rejects.toMatchObject({ code: 'idempotency_conflict' });
    const end = {
      leaseId: first?.leaseId ?? '',
      leaseEpoch: first?.leaseEpoch ?? 0,
      attemptId: first?.attemptId ?? '',
    };
    await backend.completeExecution({ executionId: first?.executionId ?? '', fence: end });
    expect(await stateOf(engine, parent)).toBe('waiting');
    expect(await backend.describeSuspension({ executionId: parent })).toMatchObject({
      ...{ awaitedChildren: 1, closeReason: 'children_ended', resumeTrigger: 'children' },
    });
    const { edges } = await backend.listEdges({ executionId: parent, direction: 'incoming' });
    const byEnd = [...edges].sort((a, b) => (a.endOrder ?? 0) - (b.endOrder ?? 0));
    expect(byEnd.map(({ endOrder }) => endOrder)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(byEnd.map(({ edgeState }) => edgeState)).toEqual(['satisfied', ...Array(9).fill('impossible')]);
    await signal();
    await signal(Uint8Array.of(1));
    const { signals } = await backend.listSignals({ executionId: parent });
    expect(signals.map(({ endedChildren, payload }) => [endedChildren, payload?.length])).toEqual([
      [0, undefined],
      [10, undefined],
      [10, 1],
    ]);
  });
});

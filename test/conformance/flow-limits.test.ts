/** The limits of flows at their size, in memory and on a server (ruling 29). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LIMITS } from '../../model/limits.js';
import { claim, create, fenceOf, LANE } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  beforeEach(() => engine.clear());
  afterAll(() => engine?.close());

  const ids = (count: number): string[] => Array.from({ length: count }, () => engine.executionId());
  const member = (executionId: string, laneId = 'other') => ({ executionId, laneId, executionKind: 'k' });
  const edge = (upstreamExecutionId: string, downstreamExecutionId: string) => ({
    ...{ edgeId: engine.uuid(), upstreamExecutionId, downstreamExecutionId },
  });
  type Edge = ReturnType<typeof edge>;

  /** A flow of these members, or of a chain of them. */
  async function flowOf(members: readonly string[], isChain = false): Promise<string> {
    const flowId = engine.executionId();
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n' });
    for (let at = 0; at < members.length; at += LIMITS.maxMembersPerCall) {
      const part = members.slice(at, at + LIMITS.maxMembersPerCall);
      const previous = members.slice(Math.max(at - 1, 0));
      const linked = at === 0 ? part.slice(1) : part;
      await grow(flowId, part, isChain ? linked.map((to, n) => edge(previous[n] as string, to)) : []);
    }
    return flowId;
  }

  const grow = (flowId: string, members: readonly string[], edges: readonly Edge[] = []) =>
    engine.backend.growFlow({
      flowId,
      graph: { members: members.map((executionId) => member(executionId)), edges: [...edges] },
    });

  const tooMany = (call: Promise<unknown>, limit: keyof typeof LIMITS) =>
    expect(call).rejects.toMatchObject({ code: 'flow_limit_exceeded', detail: { limit } });

  test('a flow has at most 10,000 members, however they join', async () => {
    const flowId = engine.executionId();
    const parent = engine.executionId();
    await engine.backend.createFlow({
      ...{ flowId, flowKind: 'f', namespace: 'n' },
      graph: { members: [member(parent, LANE)] },
    });
    for (let left = LIMITS.maxFlowMembers - 1; left > 0; left -= LIMITS.maxMembersPerCall)
      await grow(flowId, ids(Math.min(left, LIMITS.maxMembersPerCall)));
    await tooMany(grow(flowId, ids(1)), 'maxFlowMembers');
    const [further] = ids(1) as [string];
    const standalone = await create(engine, { namespace: 'n', laneId: 'other' });
    await tooMany(engine.backend.addExecutionToFlow({ flowId, executionId: standalone }), 'maxFlowMembers');
    const claimed = await claim(engine);
    const [owner] = claimed.kind === 'claimed' ? claimed.executions : [];
    const children = [{ ...member(further), edgeId: engine.uuid() }];
    const spawning = { flowId, executionId: parent, fence: owner && fenceOf(owner), children };
    await tooMany(engine.backend.spawnChildren(spawning), 'maxFlowMembers');
    expect(await engine.backend.describeFlow({ flowId })).toMatchObject({ nodeCount: LIMITS.maxFlowMembers });
  });

  test('at most 10,000 edges lead to a member, and a flow has at most 50,000, however they are created', async () => {
    const upstreams = ids(500);
    const flowId = await flowOf(upstreams);
    const leadingTo = (downstream: string, count: number): Edge[] =>
      Array.from({ length: count }, (_, at) => edge(upstreams[at % upstreams.length] as string, downstream));
    const add = (one: Edge) => engine.backend.addDependency({ flowId, ...one });
    const [widest, further] = ids(2) as [string, string];
    await grow(flowId, [widest], leadingTo(widest, LIMITS.maxEdgesPerCall));
    for (let edges = LIMITS.maxEdgesPerCall; edges < LIMITS.maxGroupEdges; edges += 250) {
      const commands = leadingTo(widest, 250).map(
        (one) => ({ name: 'addDependency', args: { flowId, ...one } }) as const,
      );
      await engine.backend.execute(commands);
    }
    const [tooWide] = leadingTo(widest, 1) as [Edge];
    await tooMany(add(tooWide), 'maxGroupEdges');
    for (let edges = LIMITS.maxGroupEdges; edges < LIMITS.maxFlowEdges; edges += LIMITS.maxEdgesPerCall) {
      const [downstream] = ids(1) as [string];
      await grow(flowId, [downstream], leadingTo(downstream, LIMITS.maxEdgesPerCall));
    }
    await tooMany(grow(flowId, [further], leadingTo(further, 1)), 'maxFlowEdges');
    const [one] = leadingTo(upstreams.at(-1) as string, 1) as [Edge];
    await tooMany(add(one), 'maxFlowEdges');
    const { edgeCount, graphRevision = 0 } = { ...(await engine.backend.describeFlow({ flowId })) };
    await tooMany(
      engine.backend.stageDependencyEdge({ flowId, ...one, expectedGraphRevision: graphRevision }),
      'maxFlowEdges',
    );
    expect(edgeCount).toBe(LIMITS.maxFlowEdges);
  });

  test('the search for a backward edge visits at most 1,000 members', async () => {
    const chain = ids(1_002);
    const flowId = await flowOf(chain, true);
    const [head, second] = chain as [string, string];
    const tail = chain.at(-1) as string;
    const closing = (to: string) => engine.backend.addDependency({ flowId, ...edge(tail, to) });
    await expect(closing(head)).rejects.toMatchObject({ code: 'cycle_detected', detail: { reason: 'too_large' } });
    await expect(closing(second)).rejects.toMatchObject({ code: 'cycle_detected', detail: { reason: 'cycle' } });
  });
});

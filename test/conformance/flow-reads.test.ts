/** What flows answer to readers, in memory and on a server. Spec 08 sections 3.7 and 11. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { claim, fenceOf, LANE, PARTITION } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  beforeEach(() => engine.clear());
  afterAll(() => engine?.close());

  /** A flow in which the last member depends on the first ones. */
  async function flowOf(upstreams: number) {
    const flowId = engine.executionId();
    const members = Array.from({ length: upstreams + 1 }, () => ({
      ...{ executionId: engine.executionId(), laneId: LANE, executionKind: 'k' },
    }));
    const ids = members.map(({ executionId }) => executionId);
    const downstreamExecutionId = ids.at(-1) as string;
    const edges = ids.slice(0, -1).map((upstreamExecutionId) => ({
      ...{ edgeId: engine.uuid(), upstreamExecutionId, downstreamExecutionId, dataPassingRef: 'text' },
    }));
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges } });
    return { flowId, ids, edges };
  }

  const owner = async () => {
    const answer = await claim(engine);
    const [claimed] = answer.kind === 'claimed' ? answer.executions : [];
    return { executionId: claimed?.executionId ?? '', fence: claimed && fenceOf(claimed) };
  };

  test('evaluateFlowEligibility answers whether the dependencies of a member let it run', async () => {
    const { backend } = engine;
    const eligibility = (executionId: string) => backend.evaluateFlowEligibility({ executionId });
    expect(await eligibility(engine.executionId())).toBe('not_found');
    const { flowId, ids } = await flowOf(1);
    const [up, down] = ids as [string, string];
    expect(await Promise.all([up, down].map(eligibility))).toEqual(['eligible', 'blocked_by_dependencies']);
    const first = await owner();
    expect(await eligibility(up)).toBe('owned');
    await backend.suspendExecution({
      ...first,
      suspensionId: engine.uuid(),
      waitpoints: [{ waitpointId: engine.uuid(), waitpointKey: 'k' }],
      resumeCondition: { type: 'operator_only' },
    });
    expect(await eligibility(up)).toBe('not_runnable');
    await backend.resumeExecution({ executionId: up });
    await backend.completeExecution(await owner());
    expect(await Promise.all([up, down].map(eligibility))).toEqual(['terminal', 'eligible']);
    // Its children have failed: a parent goes on all the same.
    const parent = await owner();
    const child = { executionId: engine.executionId(), laneId: 'other', executionKind: 'k', edgeId: engine.uuid() };
    await backend.spawnChildren({ ...parent, flowId, children: [child] });
    await backend.moveToWaitingChildren(parent);
    expect(await eligibility(down)).toBe('blocked_by_dependencies');
    await backend.cancelExecution({ executionId: child.executionId, reason: 'r', source: 'operator_override' });
    expect(await Promise.all([down, child.executionId].map(eligibility))).toEqual(['eligible', 'terminal']);
  });

  test('flows are listed page by page, and an edge and a tag are found by name', async () => {
    const { backend } = engine;
    const flows = [await flowOf(1), await flowOf(1), await flowOf(1)];
    const listed: string[] = [];
    for (let cursor: string | undefined, isLast = false; !isLast; ) {
      const page = await backend.listFlows({ partition: PARTITION, limit: 2, ...(cursor && { cursor }) });
      listed.push(...page.flows.map(({ flowId }) => flowId));
      expect(page.flows.length).toBe(cursor === undefined ? 2 : 1);
      cursor = page.nextCursor;
      isLast = cursor === undefined;
    }
    expect(await backend.listFlows({ partition: PARTITION, limit: 0 })).toEqual({ flows: [], damaged: [] });
    expect(listed.sort()).toEqual(flows.map(({ flowId }) => flowId).sort());
    const [{ flowId, ids, edges }, other] = flows as [(typeof flows)[0], (typeof flows)[0]];
    const edgeId = edges[0]?.edgeId ?? '';
    const edge = { edgeId, flowId, upstreamExecutionId: ids[0], downstreamExecutionId: ids[1], dataPassingRef: 'text' };
    expect(await backend.describeEdge({ flowId, edgeId })).toMatchObject({ ...edge, edgeState: 'unsatisfied' });
    expect(await backend.describeEdge({ flowId: other.flowId, edgeId })).toBeUndefined();
    // The first members of all flows are claimed, in any order.
    const owners = await Promise.all(flows.map(owner));
    for (const owned of owners) await backend.completeExecution(owned);
    const resolvedAt = engine.now();
    expect(await backend.describeEdge({ flowId, edgeId })).toMatchObject({ edgeState: 'satisfied', resolvedAt });
    await backend.setFlowTags({ flowId, tags: { 'shop.region': 'eu' } });
    expect(await backend.getFlowTag({ flowId, key: 'shop.region' })).toBe('eu');
    expect(await backend.getFlowTag({ flowId, key: 'shop.other' })).toBeUndefined();
    expect(await backend.getFlowTag({ flowId: engine.executionId(), key: 'shop.region' })).toBeUndefined();
  });
});

/** The compositions over the steps of flows that the machine makes by itself, in memory and on a server. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EngineError } from '../../model/errors.js';
import { APPLIER_MS } from '../../model/limits.js';
import { ackCancelMember } from '../../src/engine/ack-cancel-member.js';
import { cascadeCompletion } from '../../src/engine/cascade-completion.js';
import { promoteBlockedToEligible } from '../../src/engine/promote-blocked.js';
import { resolveDependency } from '../../src/engine/resolve-dependency.js';
import { claim, fenceOf, LANE, PARTITION } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

/** More edges than the call that ends an upstream resolves. */
const MANY = 300;

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  beforeEach(() => engine.clear());
  afterAll(() => engine?.close());

  interface Link {
    readonly edgeId: string;
    readonly upstreamExecutionId: string;
    readonly downstreamExecutionId: string;
  }

  const link = (upstreamExecutionId: string, downstreamExecutionId: string): Link => ({
    edgeId: engine.uuid(),
    upstreamExecutionId,
    downstreamExecutionId,
  });

  async function flowOf(ids: readonly string[], edges: Link[] = [], building = false): Promise<string> {
    const flowId = engine.executionId();
    const members = ids.map((executionId) => ({ executionId, laneId: LANE, executionKind: 'k' }));
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', building, graph: { members, edges } });
    return flowId;
  }

  const idsOf = (count: number): string[] => Array.from({ length: count }, () => engine.executionId());

  /** A member on which many others depend, each of which has another one that depends on it. */
  async function fanOut(count = MANY) {
    const [root = '', ...rest] = idsOf(1 + 2 * count);
    const [near, far] = [rest.slice(0, count), rest.slice(count)];
    const first = near.map((id) => link(root, id));
    const second = near.map((id, i) => link(id, far[i] as string));
    const flowId = await flowOf([root, ...near], first);
    const members = far.map((executionId) => ({ executionId, laneId: LANE, executionKind: 'k' }));
    await engine.backend.growFlow({ flowId, graph: { members, edges: second } });
    // Edges are resolved in the order of their ids.
    const last = first.toSorted((a, b) => (a.edgeId < b.edgeId ? -1 : 1)).at(-1) as Link;
    return { flowId, root, last };
  }

  /** Claims and completes the first execution that waits. */
  async function complete(executionId: string) {
    const answer = await claim(engine, {}, 1);
    const [owner] = answer.kind === 'claimed' ? answer.executions : [];
    if (owner?.executionId !== executionId) throw new Error('Another execution was claimed.');
    await engine.backend.completeExecution({ executionId, fence: fenceOf(owner) });
  }

  const cancel = (executionId: string) =>
    engine.backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });

  const codeOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      (answer) => answer,
      (error: unknown) => (error as EngineError).code,
    );

  const stateOf = async (executionId: string) => (await engine.backend.describeExecution({ executionId }))?.publicState;

  describe('resolveDependency', () => {
    test('brings forward an edge that the call of the ending left', async () => {
      const { flowId, root, last } = await fanOut();
      await complete(root);
      expect(await engine.backend.describeEdge({ flowId, edgeId: last.edgeId })).toMatchObject({
        edgeState: 'unsatisfied',
      });
      const call = { flowId, ...last, upstreamOutcome: 'success' } as const;
      expect(await resolveDependency(engine.backend, call)).toEqual({ kind: 'satisfied', edgeState: 'satisfied' });
      expect(await stateOf(last.downstreamExecutionId)).toBe('waiting');
      const again = { kind: 'already_resolved', edgeState: 'satisfied' };
      expect(await resolveDependency(engine.backend, call)).toEqual(again);
      expect(await resolveDependency(engine.backend, { flowId, edgeId: last.edgeId })).toEqual(again);
    });

    test('makes the edge of a badly ended upstream impossible, and its downstream is skipped', async () => {
      const { flowId, root, last } = await fanOut();
      await cancel(root);
      const call = { flowId, edgeId: last.edgeId };
      expect(await codeOf(resolveDependency(engine.backend, { ...call, upstreamOutcome: 'failed' }))).toBe(
        'invalid_input',
      );
      expect((await resolveDependency(engine.backend, { ...call, upstreamOutcome: 'cancelled' })).kind).toBe(
        'impossible',
      );
      expect(await stateOf(last.downstreamExecutionId)).toBe('skipped');
    });

    test('refuses arguments that contradict the stored state', async () => {
      const [up = '', down = ''] = idsOf(2);
      const edge = link(up, down);
      const flowId = await flowOf([up, down], [edge]);
      const resolve = (facts: Partial<Parameters<typeof resolveDependency>[1]> = {}) =>
        codeOf(resolveDependency(engine.backend, { flowId, edgeId: edge.edgeId, ...facts }));
      expect(await resolve({ edgeId: engine.uuid() })).toBe('invalid_dependency');
      expect(await resolve({ upstreamExecutionId: down })).toBe('invalid_dependency');
      expect(await resolve({ downstreamExecutionId: up })).toBe('invalid_dependency');
      expect(await resolve()).toBe('execution_not_terminal');
      expect(await resolve({ upstreamOutcome: 'success' })).toBe('execution_not_terminal');
      expect(await stateOf(down)).toBe('waiting_children');
      await complete(up);
      expect(await resolve({ upstreamOutcome: 'skipped' })).toBe('invalid_input');
      expect(await resolve({ upstreamOutcome: 'success' })).toMatchObject({ kind: 'already_resolved' });
    });

    test('refuses an outcome that is invalid or differs from that of the upstream, also once the edge is resolved', async () => {
      const [up = '', down = ''] = idsOf(2);
      const edge = link(up, down);
      const flowId = await flowOf([up, down], [edge]);
      const resolve = (upstreamOutcome: string) =>
        codeOf(
          resolveDependency(engine.backend, {
            flowId,
            edgeId: edge.edgeId,
            upstreamOutcome: upstreamOutcome as 'failed',
          }),
        );
      const words = ['no such', 'none', 'success', 'failed', 'expired', 'skipped'];
      for (const word of words.slice(0, 2)) expect(await resolve(word)).toBe('invalid_input');
      await cancel(up);
      for (const word of words) expect([word, await resolve(word)]).toEqual([word, 'invalid_input']);
      const answer = { kind: 'already_resolved', edgeState: 'impossible' };
      expect(await resolve('cancelled')).toEqual(answer);
      await engine.backend.replayExecution({ executionId: up });
      expect(await resolve('failed')).toEqual(answer);
      for (const word of words.slice(0, 3)) expect([word, await resolve(word)]).toEqual([word, 'invalid_input']);
    });

    test('accepts a replayed upstream whose earlier end resolved the edge', async () => {
      const [up = '', down = ''] = idsOf(2);
      const edge = link(up, down);
      const flowId = await flowOf([up, down], [edge]);
      await cancel(up);
      await engine.backend.replayExecution({ executionId: up });
      const call = { flowId, edgeId: edge.edgeId, upstreamOutcome: 'cancelled' } as const;
      const answer = { kind: 'already_resolved', edgeState: 'impossible' };
      expect(await resolveDependency(engine.backend, call)).toEqual(answer);
      await complete(up);
      expect(await resolveDependency(engine.backend, { ...call, upstreamOutcome: 'success' })).toEqual(answer);
    });
  });

  describe('promoteBlockedToEligible', () => {
    test('promotes a member that waits for due work only', async () => {
      const { root, last } = await fanOut();
      await complete(root);
      const executionId = last.downstreamExecutionId;
      expect(await stateOf(executionId)).toBe('waiting_children');
      const promote = () => codeOf(promoteBlockedToEligible(engine.backend, { executionId }));
      expect(await promote()).toEqual({ kind: 'promoted', executionId });
      expect(await stateOf(executionId)).toBe('waiting');
      expect(await promote()).toBe('not_blocked_by_deps');
    });

    test('refuses a member that its dependencies hold back', async () => {
      const [up = '', other = '', down = ''] = idsOf(3);
      await flowOf([up, other, down], [link(up, down), link(other, down)]);
      const promote = (executionId: string) => promoteBlockedToEligible(engine.backend, { executionId });
      await expect(promote(down)).rejects.toMatchObject({
        code: 'deps_not_satisfied',
        detail: { unsatisfied: '2', impossible: '0' },
      });
      expect(await codeOf(promote(engine.executionId()))).toBe('execution_not_found');
      expect(await codeOf(promote(up))).toBe('not_blocked_by_deps');
      await claim(engine, {}, 2);
      expect(await codeOf(promote(up))).toBe('not_runnable');
      await cancel(other);
      expect(await codeOf(promote(down))).toBe('not_runnable');
    });

    test('waits for a member of a flow that is being built, and does not promote one that is skipped meanwhile', async () => {
      const [only = ''] = idsOf(1);
      await flowOf([only], [], true);
      await expect(promoteBlockedToEligible(engine.backend, { executionId: only })).rejects.toMatchObject({
        code: 'deps_not_satisfied',
        detail: { unsatisfied: '0', impossible: '0' },
      });
      const { root, last } = await fanOut();
      await cancel(root);
      const executionId = last.downstreamExecutionId;
      expect(await codeOf(promoteBlockedToEligible(engine.backend, { executionId }))).toBe('not_runnable');
      expect(await stateOf(executionId)).toBe('skipped');
    });
  });

  describe('ackCancelMember', () => {
    test.each(['cancel_all', 'cancel_pending', 'flow_only'] as const)(
      'after %s, the cancellation of the member is complete',
      async (cancellationPolicy) => {
        const members = idsOf(MANY);
        const flowId = await flowOf(members);
        const acknowledge = (executionId: string) => ackCancelMember(engine.backend, { flowId, executionId });
        const answer = { kind: 'acknowledged', pendingMembers: 0 };
        // Not cancelled yet: nothing happens.
        expect(await acknowledge(members[0] as string)).toEqual(answer);
        expect(await stateOf(members[0] as string)).toBe('waiting');
        await engine.backend.cancelFlowHeader({ flowId, reason: 'r', cancellationPolicy });
        // The walk begins with the last member.
        for (const [i, pendingMembers] of [
          [299, 240],
          [100, 100],
          [0, 0],
        ] as const) {
          const acknowledged = await acknowledge(members[i] as string);
          if (cancellationPolicy === 'flow_only') expect(acknowledged).toEqual(answer);
          else expect(acknowledged.pendingMembers).toBeLessThanOrEqual(pendingMembers);
          expect(await stateOf(members[i] as string)).toBe(
            cancellationPolicy === 'flow_only' ? 'waiting' : 'cancelled',
          );
          expect(await acknowledge(members[i] as string)).toEqual(acknowledged);
        }
      },
    );

    test('leaves a running member alone when only pending ones are cancelled', async () => {
      const flowId = await flowOf(idsOf(2));
      const answered = await claim(engine, {}, 1);
      const running = answered.kind === 'claimed' ? (answered.executions[0]?.executionId ?? '') : '';
      await engine.backend.cancelFlowHeader({ flowId, reason: 'r', cancellationPolicy: 'cancel_pending' });
      const answer = { kind: 'acknowledged', pendingMembers: 0 };
      expect(await ackCancelMember(engine.backend, { flowId, executionId: running })).toEqual(answer);
      expect(await stateOf(running)).toBe('active');
      expect(await ackCancelMember(engine.backend, { flowId, executionId: engine.executionId() })).toEqual(answer);
      const unknown = { flowId: engine.executionId(), executionId: running };
      expect(await ackCancelMember(engine.backend, unknown)).toEqual(answer);
    });
  });

  describe('cascadeCompletion', () => {
    test('applies all consequences of an ending, over any distance', async () => {
      const { flowId, root } = await fanOut();
      const cascade = () => cascadeCompletion(engine.backend, { executionId: root });
      const nothing = { resolved: 0, cascadedChildren: 0, synchronous: true };
      expect(await cascade()).toEqual(nothing);
      await cancel(root);
      const before = (await engine.backend.describeFlow({ flowId }))?.members['skipped'] ?? 0;
      const { events } = await engine.backend.readLog({ partition: PARTITION, after: 'now' });
      expect([before > 0, before < MANY, events]).toEqual([true, true, []]);
      const outcome = await cascade();
      expect(outcome).toMatchObject({ cascadedChildren: 2 * MANY - before, synchronous: true });
      expect(outcome.resolved).toBeGreaterThanOrEqual(2 * MANY - before);
      expect((await engine.backend.describeFlow({ flowId }))?.members).toEqual({ cancelled: 1, skipped: 2 * MANY });
      expect(await engine.backend.applyDue({ partition: PARTITION })).toMatchObject({ others: {} });
      expect(await cascade()).toEqual(nothing);
    });

    test('waits while a loop reserves the partition', async () => {
      const { root } = await fanOut();
      await cancel(root);
      expect(await engine.backend.applyDue({ partition: PARTITION, owner: 'loop' })).toMatchObject({ kind: 'applied' });
      let isOver = false;
      const cascading = cascadeCompletion(engine.backend, { executionId: root }).finally(() => (isOver = true));
      for (let i = 0; i < 3; i++) await engine.backend.describeExecution({ executionId: root });
      expect(isOver).toBe(false);
      engine.setTime(engine.now() + APPLIER_MS);
      expect((await cascading).cascadedChildren).toBeGreaterThan(0);
    });

    test('ends siblings that a decided group no longer needs, and their dependents', async () => {
      const [down = '', far = '', ...siblings] = idsOf(2 + MANY);
      const memberOf = (executionId: string) => ({ executionId, laneId: LANE, executionKind: 'k' });
      const members = [...siblings, down].map(memberOf);
      const edges = siblings.map((id) => link(id, down));
      const groups = [{ downstreamExecutionId: down, policy: { kind: 'any_of' as const } }];
      const flowId = engine.executionId();
      await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members, edges, groups } });
      const answer = await claim(engine, {}, 1);
      const [owner] = answer.kind === 'claimed' ? answer.executions : [];
      if (owner === undefined) throw new Error('Nothing was claimed.');
      const { executionId: first } = owner;
      const other = siblings.find((id) => id !== first) as string;
      const graph = { members: [memberOf(far)], edges: [link(other, far)] };
      await engine.backend.growFlow({ flowId, graph });
      await engine.backend.completeExecution({ executionId: first, fence: fenceOf(owner) });
      await engine.backend.applyDue({ partition: PARTITION, owner: 'loop', limit: 1 });
      const pending = (await engine.backend.describeFlow({ flowId }))?.members['waiting'] ?? 0;
      expect(pending).toBeGreaterThan(1);
      engine.setTime(engine.now() + APPLIER_MS);
      const { cascadedChildren } = await cascadeCompletion(engine.backend, { executionId: first });
      expect(cascadedChildren).toBeLessThanOrEqual(1);
      expect((await engine.backend.describeFlow({ flowId }))?.members).toEqual({
        waiting: 1,
        completed: 1,
        cancelled: MANY - 1,
        skipped: 1,
      });
    });

    test('ends the children of a parent that ended badly, and their own children', async () => {
      const [parent = '', ...children] = idsOf(1 + MANY);
      const spawn = async (flowId: string, ids: readonly string[]) => {
        const answer = await claim(engine, {}, 1);
        const [owner] = answer.kind === 'claimed' ? answer.executions : [];
        if (owner === undefined) throw new Error('Nothing was claimed.');
        const { executionId } = owner;
        const rows = ids.map((id) => ({ executionId: id, laneId: LANE, executionKind: 'k', edgeId: engine.uuid() }));
        await engine.backend.spawnChildren({ executionId, fence: fenceOf(owner), flowId, children: rows });
        await engine.backend.moveToWaitingChildren({ executionId, fence: fenceOf(owner) });
      };
      const facts = { namespace: 'n', laneId: LANE, executionKind: 'k', creatorIdentity: 'c' };
      await engine.backend.createExecution({ executionId: parent, ...facts });
      const flowId = engine.executionId();
      await spawn(flowId, children);
      await spawn(flowId, idsOf(MANY));
      await cancel(parent);
      expect((await engine.backend.describeFlow({ flowId }))?.members['waiting']).toBeGreaterThan(0);
      await cascadeCompletion(engine.backend, { executionId: parent });
      expect((await engine.backend.describeFlow({ flowId }))?.members).toEqual({ cancelled: 1 + 2 * MANY });
    });

    test('leaves other due work of the partition alone, also while a loop reserves it', async () => {
      const large = await fanOut();
      const small = await fanOut(2);
      await cancel(large.root);
      await cancel(small.root);
      await engine.backend.applyDue({ partition: PARTITION, owner: 'loop', limit: 1 });
      const left = (await engine.backend.describeFlow({ flowId: large.flowId }))?.members;
      expect(left?.['waiting_children']).toBeGreaterThan(0);
      const nothing = { resolved: 0, cascadedChildren: 0, synchronous: true };
      expect(await cascadeCompletion(engine.backend, { executionId: small.root })).toEqual(nothing);
      engine.setTime(engine.now() + APPLIER_MS);
      expect(await cascadeCompletion(engine.backend, { executionId: small.root })).toEqual(nothing);
      expect((await engine.backend.describeFlow({ flowId: large.flowId }))?.members).toEqual(left);
    });

    test('counts neither edges of other flows nor edges that the call of the ending resolved', async () => {
      const small = await fanOut(2);
      const large = await fanOut();
      await cancel(large.root);
      await cancel(small.root);
      expect(await cascadeCompletion(engine.backend, { executionId: small.root })).toEqual({
        resolved: 0,
        cascadedChildren: 0,
        synchronous: true,
      });
      expect((await engine.backend.describeFlow({ flowId: large.flowId }))?.members['skipped']).toBeLessThan(2 * MANY);
    });

    test('finds no consequences for work outside flows and for unknown work', async () => {
      const [executionId = '', unknown = ''] = idsOf(2);
      const facts = { executionId, namespace: 'n', laneId: LANE, executionKind: 'k', creatorIdentity: 'c' };
      await engine.backend.createExecution(facts);
      await cancel(executionId);
      for (const each of [executionId, unknown])
        expect((await cascadeCompletion(engine.backend, { executionId: each })).resolved).toBe(0);
    });
  });
});

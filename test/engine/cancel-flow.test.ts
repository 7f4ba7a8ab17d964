/** Cancelling a flow and waiting for it: when that counts as complete, in memory and on a server. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CancellationPolicy } from '../../model/flow/facts.js';
import type { PublicState } from '../../model/execution/situation.js';
import { cancelFlow } from '../../src/engine/cancel-flow.js';
import { claim, fenceOf, LANE } from '../../src/testing/conformance/steps.js';
import { testEngine, type TestEngine } from '../../src/testing/index.js';
import { sharedValkey } from '../support/valkey/index.js';

const WAITING = ['waiting', 'delayed', 'rate_limited', 'waiting_children'] as const;
const BEGUN = ['active', 'suspended'] as const;
const ENDED = ['completed', 'failed', 'cancelled', 'expired', 'skipped'] as const;

/** More members than one call ends. */
const MANY = 66;

/** Brings all members of a flow into a state. */
class World {
  constructor(
    private readonly engine: TestEngine,
    readonly flowId: string,
    private readonly members: readonly string[],
  ) {}

  private get backend() {
    return this.engine.backend;
  }

  private each(call: (executionId: string) => Promise<unknown>): Promise<unknown> {
    return Promise.all(this.members.map(call));
  }

  /** The owners of all members. */
  private async claimed() {
    const answer = await claim(this.engine, {}, this.members.length);
    expect(answer).toMatchObject({ kind: 'claimed', executions: { length: this.members.length } });
    const executions = answer.kind === 'claimed' ? answer.executions : [];
    return executions.map((owner) => ({ executionId: owner.executionId, fence: fenceOf(owner) }));
  }

  private async owners(call: (owned: Awaited<ReturnType<World['claimed']>>[number]) => Promise<unknown>) {
    await Promise.all((await this.claimed()).map(call));
  }

  /** A member that joined last, for which all others wait. */
  private async upstream(): Promise<string> {
    const upstreamExecutionId = this.engine.executionId();
    const member = { executionId: upstreamExecutionId, laneId: 'upstream', executionKind: 'k' };
    await this.backend.growFlow({ flowId: this.flowId, graph: { members: [member] } });
    await this.each((downstreamExecutionId) =>
      this.backend.addDependency({
        ...{ flowId: this.flowId, edgeId: this.engine.uuid() },
        ...{ upstreamExecutionId, downstreamExecutionId },
      }),
    );
    return upstreamExecutionId;
  }

  private cancel(executionId: string) {
    return this.backend.cancelExecution({ executionId, reason: 'r', source: 'operator_override' });
  }

  readonly bringInto: Readonly<Record<PublicState, () => Promise<unknown>>> = {
    waiting: async () => undefined,
    delayed: () =>
      this.owners((owned) => this.backend.delayExecution({ ...owned, delayUntil: this.engine.now() + 60_000 })),
    rate_limited: () =>
      this.each((executionId) =>
        this.backend.blockExecutionForAdmission({ executionId, blockingReason: 'waiting_for_budget' }),
      ),
    waiting_children: () => this.upstream(),
    active: () => this.claimed(),
    suspended: () =>
      this.owners((owned) =>
        this.backend.suspendExecution({
          ...owned,
          suspensionId: this.engine.uuid(),
          waitpoints: [{ waitpointId: this.engine.uuid(), waitpointKey: 'k' }],
          resumeCondition: { type: 'operator_only' },
        }),
      ),
    completed: () => this.owners((owned) => this.backend.completeExecution(owned)),
    failed: () => this.owners((owned) => this.backend.failExecution({ ...owned, failureReason: 'r' })),
    cancelled: () => this.each((executionId) => this.cancel(executionId)),
    expired: async () => {
      this.engine.setTime(this.engine.now() + 60_000);
      await this.each((executionId) =>
        this.backend.expireExecution({ executionId, expireReason: 'execution_deadline' }),
      );
    },
    skipped: async () => this.cancel(await this.upstream()),
  };
}

describe.each(['memory', 'valkey'] as const)('on %s', (name) => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await testEngine({ backend: name === 'memory' ? 'memory' : { url: (await sharedValkey()).url } });
  });
  beforeEach(() => engine.clear());
  afterAll(() => engine?.close());

  async function flowIn(state: PublicState, count = 1): Promise<string> {
    const flowId = engine.executionId();
    const executionDeadlineAt = state === 'expired' ? engine.now() + 60_000 : undefined;
    const members = Array.from({ length: count }, () => ({
      executionId: engine.executionId(),
      laneId: LANE,
      executionKind: 'k',
      executionDeadlineAt,
    }));
    await engine.backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members } });
    const ids = members.map(({ executionId }) => executionId);
    await new World(engine, flowId, ids).bringInto[state]();
    expect((await engine.backend.describeFlow({ flowId }))?.members).toMatchObject({ [state]: count });
    return flowId;
  }

  const cancel = (flowId: string, cancellationPolicy: CancellationPolicy, wait: boolean | number = false) =>
    cancelFlow(engine.backend, { flowId, cancellationPolicy, wait });

  const membersOf = async (flowId: string) => ({ ...(await engine.backend.describeFlow({ flowId }))?.members });

  test.each([
    ...[...WAITING, ...BEGUN].map((state) => ['cancel_all', state] as const),
    ...WAITING.map((state) => ['cancel_pending', state] as const),
  ])('%s is not complete while a member is %s', async (policy, state) => {
    const flowId = await flowIn(state, MANY);
    expect((await cancel(flowId, policy)).kind).toBe('cancellation_scheduled');
    // The state of all members that have not ended.
    const { cancelled: _, skipped: __, ...left } = await membersOf(flowId);
    expect(Object.keys(left)).toEqual([state]);
    await engine.advance(0);
    expect(await cancel(flowId, policy)).toMatchObject({ kind: 'cancelled', alreadyTerminal: true });
  });

  test.each([
    ...[...BEGUN, ...ENDED].map((state) => ['cancel_pending', state] as const),
    ...ENDED.map((state) => ['cancel_all', state] as const),
    ...[...WAITING, ...BEGUN].map((state) => ['flow_only', state] as const),
  ])('%s is complete, and leaves alone a member that is %s', async (policy, state) => {
    const flowId = await flowIn(state);
    const before = await membersOf(flowId);
    expect((await cancel(flowId, policy)).kind).toBe('cancelled');
    expect(await membersOf(flowId)).toEqual(before);
  });

  test('flow_only ends a member whose group needs more edges than it has: none can be added', async () => {
    const { backend } = engine;
    const flowId = engine.executionId();
    const [upstreamExecutionId, downstreamExecutionId] = [engine.executionId(), engine.executionId()];
    const members = [upstreamExecutionId, downstreamExecutionId].map((executionId) => ({
      ...{ executionId, laneId: LANE, executionKind: 'k' },
    }));
    await backend.createFlow({ flowId, flowKind: 'f', namespace: 'n', graph: { members } });
    const policy = { kind: 'quorum', k: 2, onSatisfied: 'let_run' } as const;
    await backend.setEdgeGroupPolicy({ flowId, downstreamExecutionId, policy });
    await backend.addDependency({ flowId, edgeId: engine.uuid(), upstreamExecutionId, downstreamExecutionId });
    expect(await membersOf(flowId)).toEqual({ waiting: 1, waiting_children: 1 });
    await cancel(flowId, 'flow_only');
    expect(await membersOf(flowId)).toEqual({ waiting: 1, skipped: 1 });
  });

  test('a wait ends at its timeout, or when due work has ended the members', async () => {
    const flowId = await flowIn('waiting', 300);
    const startedAt = performance.now();
    const answer = { cancellationPolicy: 'cancel_all', memberCount: 300 };
    expect(await cancel(flowId, 'cancel_all', 50)).toEqual({
      ...answer,
      kind: 'cancellation_scheduled',
      alreadyTerminal: false,
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(49);
    const [waited] = await Promise.all([cancel(flowId, 'cancel_all', 30_000), engine.advance(0)]);
    expect(waited).toEqual({ ...answer, kind: 'cancelled', alreadyTerminal: true });
    expect(performance.now() - startedAt).toBeLessThan(30_000);
    expect(await membersOf(flowId)).toEqual({ cancelled: 300 });
  });
});

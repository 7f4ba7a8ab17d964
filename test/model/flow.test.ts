/** Flows: members, edges and groups, what an end means for others, cancellation, and the end of a flow. */
import { describe, expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { snapshotOf } from '../../model/execution/projections.js';
import { UNITS_AT_ONCE } from '../../model/flow/cascade.js';
import type { ArgsOf, AnyDecision, OperationName } from '../../model/machine.js';
import type { ClaimedExecution } from '../../model/schedule/claimed.js';
import { violations } from '../../model/specification/invariants.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { idOf, PARTITION, RETENTION_MS, START, uuid } from './dsl.js';

const FLOW = idOf(900);

/** A partition in the specification. Whatever happens, every rule holds. */
class Story {
  private readonly machine = new SpecMachine({ retentionMs: RETENTION_MS });
  now = START;
  events: readonly Event[] = [];
  private leases = 5_000;

  run<Name extends OperationName>(name: Name, args: ArgsOf<Name>): AnyDecision {
    const logged = this.machine.partition.log.length;
    const decision = this.machine.run(parseCommand(name, args, 'memory'), this.now);
    this.events = this.machine.partition.log.slice(logged).map(({ event }) => event);
    const { state, log } = this.machine.partition;
    expect([...violations(state, log, this.now)]).toEqual([]);
    return decision;
  }

  /** What a command answers. */
  answer<Name extends OperationName>(name: Name, args: ArgsOf<Name>): unknown {
    const decision = this.run(name, args);
    return decision.ok ? decision.outcome : `${decision.code} ${JSON.stringify(decision.detail)}`;
  }

  execution(n: number) {
    return this.machine.partition.state.tables.execution.get(idOf(n));
  }

  get flow() {
    return this.machine.partition.state.tables.flow.get(uuid(900));
  }

  get walks() {
    return [...this.machine.partition.state.tables.walk.values()];
  }

  /** What a description says it waits for. */
  detail(n: number): string | undefined {
    const execution = this.execution(n);
    return execution && snapshotOf(execution).blockingDetail;
  }

  states(...numbers: number[]): (string | undefined)[] {
    return numbers.map((n) => this.execution(n)?.situation);
  }

  claim(): string[] {
    return this.taken().map(({ executionId }) => executionId);
  }

  taken(): readonly ClaimedExecution[] {
    const claims = Array.from({ length: 10 }, () => ({ leaseId: uuid(this.leases++), attemptId: uuid(this.leases++) }));
    const decision = this.run('claimForWorker', {
      partition: PARTITION,
      laneId: 'lane',
      workerId: 'w',
      workerInstanceId: 'w-1',
      claims,
    });
    if (!decision.ok || !('executions' in decision.outcome)) return [];
    return decision.outcome.executions;
  }

  /** What the owner of an execution shows. */
  fence(n: number) {
    const {
      currentLeaseId: leaseId,
      currentLeaseEpoch: leaseEpoch,
      currentAttemptId: attemptId,
    } = this.execution(n) as ReadonlyExecution;
    return { leaseId, leaseEpoch, attemptId };
  }

  end(n: number, how: 'completeExecution' | 'cancelExecution' = 'completeExecution'): void {
    if (how === 'cancelExecution') this.run(how, { executionId: idOf(n), reason: 'r', source: 'operator_override' });
    else this.run(how, { executionId: idOf(n), source: 'operator_override' });
  }

  due(): void {
    this.run('applyDue', { partition: PARTITION });
  }

  /** A pass that takes what is due in its order: without a filter, purges of flows come last. */
  dueInOrder(): void {
    this.run('applyDue', { partition: PARTITION, filter: { namespace: 'n' } });
  }
}

const member = (n: number, more: object = {}) => ({
  executionId: idOf(n),
  laneId: 'lane',
  executionKind: 'k',
  ...more,
});
const edge = (from: number, to: number, more: object = {}) => ({
  edgeId: uuid(from * 1_000 + to),
  upstreamExecutionId: idOf(from),
  downstreamExecutionId: idOf(to),
  ...more,
});

type Graph = NonNullable<ArgsOf<'createFlow'>['graph']>;
const flowOf = (graph: Graph, more: object = {}): ArgsOf<'createFlow'> => ({
  flowId: FLOW,
  flowKind: 'race',
  namespace: 'n',
  graph,
  ...more,
});

/** `count` upstreams and one downstream with the number 999. */
function fan(
  count: number,
  policy: Graph['groups'] extends (infer G)[] | undefined ? (G extends { policy: infer P } ? P : never) : never,
): Story {
  const story = new Story();
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  story.run(
    'createFlow',
    flowOf({
      members: [...numbers, 999].map((n) => member(n)),
      edges: numbers.map((n) => edge(n, 999)),
      groups: [{ downstreamExecutionId: idOf(999), policy }],
    }),
  );
  return story;
}

describe('createFlow', () => {
  test('creates a whole flow in one step, in which members with dependencies cannot be claimed', () => {
    const story = new Story();
    const graph = { members: [member(1), member(2)], edges: [edge(1, 2)] };
    expect(story.answer('createFlow', flowOf(graph))).toEqual({ kind: 'created', flowId: FLOW, graphRevision: 3 });
    expect(story.states(1, 2)).toEqual(['ready', 'blocked_dependencies']);
    expect(story.claim()).toEqual([idOf(1)]);
    story.end(1);
    expect(story.events.map(({ type }) => type)).toEqual([
      'execution_completed',
      'dependency_resolved',
      'edge_group_fired',
      'dependencies_met',
    ]);
    expect(story.claim()).toEqual([idOf(2)]);
    expect(story.answer('createFlow', flowOf(graph))).toMatchObject({ kind: 'already_satisfied' });
    expect(story.answer('createFlow', flowOf(graph, { flowKind: 'other' }))).toMatch(/^flow_exists_differently/);
  });

  test('refuses invalid graphs', () => {
    const story = new Story();
    const refuse = (graph: Graph): string => {
      try {
        return String(story.answer('createFlow', flowOf(graph)));
      } catch (error) {
        return String(error);
      }
    };
    expect(refuse({ members: [member(1), member(2)], edges: [edge(2, 1)] })).toMatch(/earlier member/);
    expect(refuse({ members: [member(1)], edges: [edge(1, 1)] })).toMatch(/earlier member/);
    expect(refuse({ members: [member(1), member(1)] })).toMatch(/twice/);
    expect(refuse({ members: [member(1)], edges: [edge(5, 1)] })).toMatch(/^execution_not_in_flow/);
    story.run('createExecution', { ...member(7), namespace: 'n', creatorIdentity: 'c' });
    expect(refuse({ members: [member(7)] })).toMatch(/^invalid_input/);
    story.run('drainLane', { partition: PARTITION, laneId: 'lane' });
    expect(refuse({ members: [member(1)] })).toMatch(/^lane_draining/);
  });

  test('keeps the delay and the deadline of members with dependencies', () => {
    const story = new Story();
    const late = member(2, { delayUntil: START + 5_000, executionDeadlineAt: START + 9_000 });
    story.run('createFlow', flowOf({ members: [member(1), late, member(3)], edges: [edge(1, 2), edge(2, 3)] }));
    story.claim();
    story.end(1);
    expect(story.states(2)).toEqual(['delayed']);
    story.now += 9_000;
    story.due();
    story.due();
    expect(story.states(2, 3)).toEqual(['expired', 'blocked_dependencies']);
    story.due();
    expect(story.states(3)).toEqual(['skipped']);
  });
});

describe('groups', () => {
  test('say in the description of their execution what is missing', () => {
    const story = fan(3, { kind: 'quorum', k: 2, onSatisfied: 'let_run' });
    expect(story.detail(999)).toBe('2 more of 3 dependencies must complete');
    story.claim();
    story.end(1);
    expect(story.detail(999)).toBe('1 more of 3 dependencies must complete');
    story.end(2);
    expect(story.detail(999)).toBeUndefined();
    const building = new Story();
    building.run('createFlow', flowOf({ members: [member(1)] }, { building: true }));
    expect(building.detail(1)).toBe('its flow has yet to release it');
  });

  test('all_of is satisfied by all, and impossible after one failure', () => {
    const story = fan(3, { kind: 'all_of' });
    story.claim();
    story.end(1);
    story.end(2);
    expect(story.states(999)).toEqual(['blocked_dependencies']);
    story.end(3, 'cancelExecution');
    expect(story.states(999)).toEqual(['skipped']);
    expect(story.flow?.purgeAt).toBeGreaterThan(START);
  });

  test('any_of is satisfied by the first, and cancels the others', () => {
    const story = fan(3, { kind: 'any_of', onSatisfied: 'cancel_remaining' });
    story.claim();
    story.end(2);
    expect(story.states(1, 2, 3, 999)).toEqual(['cancelled', 'completed', 'cancelled', 'ready']);
    expect(story.execution(1)).toMatchObject({
      cancelledBy: 'flow_cascade',
      cancellationReason: 'sibling_quorum_satisfied',
    });
  });

  test('a quorum lets the others run if asked to', () => {
    const story = fan(3, { kind: 'quorum', k: 2, onSatisfied: 'let_run' });
    story.claim();
    story.end(1);
    expect(story.states(999)).toEqual(['blocked_dependencies']);
    story.end(3);
    expect(story.states(2, 999)).toEqual(['running', 'ready']);
    story.end(2, 'cancelExecution');
    expect(story.execution(999)).toMatchObject({ succeededCount: 2, failedCount: 1, groupState: 'satisfied' });
  });

  test('an unreachable quorum skips its downstream, and cancels the rest', () => {
    const story = fan(4, { kind: 'quorum', k: 3, onSatisfied: 'cancel_remaining' });
    story.claim();
    story.end(1, 'cancelExecution');
    story.end(2, 'cancelExecution');
    expect(story.states(1, 2, 3, 4, 999)).toEqual(['cancelled', 'cancelled', 'cancelled', 'cancelled', 'skipped']);
    expect(story.execution(3)?.cancellationReason).toBe('sibling_quorum_impossible');
  });

  test('walks continue what one call cannot do', () => {
    const story = fan(200, { kind: 'any_of', onSatisfied: 'cancel_remaining' });
    story.claim();
    story.end(1);
    expect(story.states(999)).not.toEqual(['blocked_dependencies']);
    // A member is not ended without the edge that leads out of it: each pass leaves what is left as one walk.
    for (let passes = 0; passes < 2; passes++) {
      expect(story.walks.map(({ walkKind }) => walkKind)).toEqual(['siblings']);
      story.due();
    }
    expect(story.walks).toEqual([]);
    expect(story.states(2, 100, 200)).toEqual(['cancelled', 'cancelled', 'cancelled']);
  });

  test('one event resolves the edges of racers that a decided group no longer needs, and another one the edge of a parent', () => {
    const story = fan(12, { kind: 'any_of', onSatisfied: 'cancel_remaining' });
    story.claim();
    const children = [{ ...member(50), edgeId: uuid(750) }];
    story.run('spawnChildren', { executionId: idOf(5), source: 'operator_override', flowId: FLOW, children });
    story.end(1);
    const resolved = story.events.flatMap((event) => {
      if (event.type === 'dependency_resolved') return [[event.executionId, event.edgeId]];
      return event.type === 'dependencies_resolved'
        ? [[event.executionId, ...event.edges.map(({ edgeId }) => edgeId)]]
        : [];
    });
    const edges = (...numbers: number[]) => numbers.map((n) => edge(n, 999).edgeId);
    expect(resolved).toEqual([
      [idOf(999), ...edges(1)],
      [idOf(999), ...edges(2, 3, 4)],
      [idOf(999), ...edges(5)],
      [idOf(5), uuid(750)],
      [idOf(999), ...edges(6, 7, 8, 9, 10, 11, 12)],
    ]);
    const dependencies = Object.values(story.execution(999)?.dependencies ?? {});
    expect(dependencies.filter(({ isLate, bucket }) => isLate && bucket === 'failed')).toHaveLength(11);
    expect(story.execution(999)).toMatchObject({ succeededCount: 1, failedCount: 11 });
  });

  test('a pass of one unit makes progress too', () => {
    const story = fan(70, { kind: 'any_of', onSatisfied: 'cancel_remaining' });
    story.claim();
    story.end(1);
    expect(story.walks).toHaveLength(1);
    for (let i = 0; i < 200 && story.walks.length > 0; i++) story.run('applyDue', { partition: PARTITION, limit: 1 });
    expect(story.walks).toEqual([]);
    expect(story.states(2, 70)).toEqual(['cancelled', 'cancelled']);
  });
});

describe('growFlow', () => {
  const part = (graph: Graph) => ({ flowId: FLOW, graph });

  test('builds a flow part by part: no member runs before the seal', () => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1)] }, { building: true }));
    const second = part({ members: [member(2), member(3)], edges: [edge(1, 2), edge(2, 3)] });
    expect(story.answer('growFlow', second)).toEqual({ kind: 'grown', flowId: FLOW, graphRevision: 5 });
    expect(story.answer('growFlow', second)).toMatchObject({ kind: 'already_satisfied', graphRevision: 5 });
    expect(story.claim()).toEqual([]);
    story.run('sealFlow', { flowId: FLOW });
    expect(story.claim()).toEqual([idOf(1)]);
    expect(story.states(2, 3)).toEqual(['blocked_dependencies', 'blocked_dependencies']);
  });

  test('a flow that is never sealed is cancelled, with the reason', () => {
    const story = new Story();
    const members = Array.from({ length: 100 }, (_, i) => member(i + 1));
    story.run('createFlow', flowOf({ members }, { building: true, buildTimeoutMs: 1_000 }));
    story.now += 999;
    story.due();
    expect(story.flow).toMatchObject({ flowState: 'open', isBuilding: true });
    story.now += 1;
    story.due();
    expect(story.flow).toMatchObject({ flowState: 'cancelled', cancelReason: 'flow_build_timed_out' });
    story.due();
    expect(new Set(members.map((_, i) => story.execution(i + 1)?.situation))).toEqual(new Set(['cancelled']));
    expect(story.execution(1)?.cancellationReason).toBe('flow_build_timed_out');
    expect(story.flow?.purgeAt).toBeDefined();
    expect(story.answer('sealFlow', { flowId: FLOW })).toMatch(/^flow_already_terminal/);
  });

  test('a flow that was cancelled while it was built can be sealed only if its members were left alone', () => {
    for (const cancellationPolicy of ['cancel_all', 'cancel_pending', 'flow_only'] as const) {
      const story = new Story();
      story.run('createFlow', flowOf({ members: [member(1)] }, { building: true }));
      story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy });
      const answer = story.answer('sealFlow', { flowId: FLOW });
      if (cancellationPolicy === 'flow_only') expect(answer).toEqual({ kind: 'sealed', flowId: FLOW });
      else expect(answer).toMatch(/^flow_already_terminal/);
      expect(story.claim()).toEqual(cancellationPolicy === 'flow_only' ? [idOf(1)] : []);
    }
  });

  test('a flow that was cancelled without its members while it was built keeps its deadline until it is sealed', () => {
    for (const isSealed of [false, true]) {
      const story = new Story();
      const members = [member(1), member(2)];
      story.run('createFlow', flowOf({ members, edges: [edge(1, 2)] }, { building: true, buildTimeoutMs: 1_000 }));
      story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy: 'flow_only', reason: 'frozen' });
      if (isSealed) story.run('sealFlow', { flowId: FLOW });
      story.now += 999;
      story.due();
      expect(story.flow).toMatchObject({ cancelReason: 'frozen' });
      story.now += 1;
      story.due();
      expect(story.flow?.cancelReason).toBe(isSealed ? 'frozen' : 'flow_build_timed_out');
      expect(story.states(1, 2)).toEqual(isSealed ? ['ready', 'blocked_dependencies'] : ['cancelled', 'cancelled']);
      expect(story.flow?.purgeAt !== undefined).toBe(!isSealed);
    }
  });

  test('a flow that is sealed in time, or created whole, has no deadline', () => {
    for (const building of [true, false]) {
      const story = new Story();
      story.run('createFlow', flowOf({ members: [member(1)] }, { building, buildTimeoutMs: 1_000 }));
      if (building) story.run('sealFlow', { flowId: FLOW });
      story.now += 2_000;
      story.due();
      expect(story.flow?.flowState).toBe('open');
      expect(story.claim()).toEqual([idOf(1)]);
    }
  });

  test('has an hour by default', () => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [] }, { building: true }));
    expect(story.flow?.buildDeadlineAt).toBe(START + 3_600_000);
  });

  test('resolves edges from ended members at once, and reopens a finished flow', () => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1)] }));
    story.claim();
    story.end(1);
    expect(story.flow?.purgeAt).toBeDefined();
    story.run('growFlow', part({ members: [member(2)], edges: [edge(1, 2)] }));
    expect(story.flow?.purgeAt).toBeUndefined();
    expect(story.states(2)).toEqual(['ready']);
  });

  test('refuses invalid parts', () => {
    const story = new Story();
    const one = part({ members: [member(2)], edges: [edge(1, 2)] });
    expect(story.answer('growFlow', one)).toMatch(/^flow_not_found/);
    const groups = [
      { downstreamExecutionId: idOf(2), policy: { kind: 'quorum', k: 2, onSatisfied: 'let_run' } as const },
    ];
    const tooMany = part({ members: [member(2)], edges: [edge(1, 2)], groups });
    expect(() => story.run('growFlow', tooMany)).toThrow('needs more upstreams than there are');
    story.run('createFlow', flowOf({ members: [member(1)] }));
    story.run('createExecution', { ...member(7), namespace: 'n', creatorIdentity: 'c' });
    const from7 = part({ members: [member(2)], edges: [edge(7, 2)] });
    expect(story.answer('growFlow', from7)).toMatch(/^execution_not_in_flow/);
    expect(story.answer('growFlow', part({ members: [member(7)] }))).toMatch(/^invalid_input .*execution_exists/);
    story.run('growFlow', one);
    const same = part({ members: [member(3)], edges: [{ ...edge(1, 3), edgeId: edge(1, 2).edgeId }] });
    expect(story.answer('growFlow', same)).toMatch(/^dependency_already_exists/);
    story.run('closeFlow', { flowId: FLOW });
    expect(story.answer('growFlow', part({ members: [member(3)] }))).toMatch(/^flow_closed/);
    story.run('cancelFlowHeader', { flowId: FLOW });
    expect(story.answer('growFlow', part({ members: [member(3)] }))).toMatch(/^flow_already_terminal/);
  });
});

describe('growing', () => {
  const grown = (building: boolean): Story => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1), member(2)] }, { building }));
    return story;
  };
  const depend = (from: number, to: number, more: object = {}): ArgsOf<'addDependency'> => ({
    flowId: FLOW,
    ...edge(from, to),
    ...more,
  });

  test('addDependency makes an execution wait; a repeated call changes nothing', () => {
    const story = grown(false);
    expect(story.answer('addDependency', depend(1, 2))).toMatchObject({ kind: 'added', newGraphRevision: 3 });
    expect(story.answer('addDependency', depend(1, 2))).toMatchObject({ kind: 'added', newGraphRevision: 3 });
    expect(story.states(1, 2)).toEqual(['ready', 'blocked_dependencies']);
    const staged = { ...depend(1, 2), expectedGraphRevision: 0 };
    expect(story.answer('stageDependencyEdge', staged)).toMatchObject({ kind: 'staged', newGraphRevision: 3 });
    expect(story.answer('applyDependencyToChild', depend(1, 2))).toMatchObject({ kind: 'already_applied' });
    expect(story.answer('applyDependencyToChild', depend(2, 1))).toMatch(/^invalid_dependency/);
    expect(story.answer('applyDependencyToChild', depend(1, 44))).toMatch(/^execution_not_found/);
  });

  test.each(['before', 'behind'])(
    'an edge from what failed, %s the one that completes the group, decides it',
    (order) => {
      const story = new Story();
      story.run('createFlow', flowOf({ members: [member(1), member(2), member(3)] }));
      const policy = { kind: 'quorum', k: 2, onSatisfied: 'cancel_remaining' } as const;
      story.run('setEdgeGroupPolicy', { flowId: FLOW, downstreamExecutionId: idOf(3), policy });
      story.run('addDependency', depend(order === 'before' ? 1 : 2, 3));
      story.end(1, 'cancelExecution');
      expect(story.states(2, 3)).toEqual(['ready', 'blocked_dependencies']);
      story.run('addDependency', depend(order === 'before' ? 2 : 1, 3));
      expect(story.states(2, 3)).toEqual(['cancelled', 'skipped']);
    },
  );

  test('refuses invalid edges', () => {
    const story = grown(false);
    story.run('addDependency', depend(1, 2));
    expect(story.answer('addDependency', depend(1, 1))).toMatch(/^self_referencing_edge/);
    expect(story.answer('addDependency', depend(2, 1))).toMatch(/^cycle_detected .*cycle/);
    expect(story.answer('addDependency', { ...depend(2, 1), edgeId: edge(1, 2).edgeId })).toMatch(
      /^dependency_already_exists/,
    );
    expect(story.answer('addDependency', depend(3, 2))).toMatch(/^execution_not_in_flow/);
    expect(story.answer('addDependency', { ...depend(1, 2), flowId: idOf(901), edgeId: uuid(5) })).toMatch(
      /^flow_not_found/,
    );
    const stale = { ...depend(1, 2), edgeId: uuid(5), expectedGraphRevision: 1 };
    expect(story.answer('stageDependencyEdge', stale)).toMatch(/^stale_graph_revision/);
    story.claim();
    expect(story.answer('addDependency', { ...depend(2, 1), edgeId: uuid(6) })).toMatch(/^execution_not_eligible/);
    story.run('closeFlow', { flowId: FLOW });
    expect(story.answer('addDependency', { ...depend(1, 2), edgeId: uuid(7) })).toMatch(/^flow_closed/);
  });

  test('an edge from an ended member is resolved at once', () => {
    const story = grown(false);
    story.claim();
    story.end(1);
    story.run('createExecution', { ...member(3), namespace: 'n', creatorIdentity: 'c' });
    expect(story.answer('addExecutionToFlow', { flowId: FLOW, executionId: idOf(3) })).toMatchObject({
      kind: 'added',
      newNodeCount: 3,
    });
    expect(story.answer('addExecutionToFlow', { flowId: FLOW, executionId: idOf(3) })).toMatchObject({
      kind: 'already_member',
    });
    story.run('addDependency', depend(1, 3));
    expect(story.execution(3)).toMatchObject({ situation: 'ready', groupState: 'satisfied' });
    story.run('createExecution', { ...member(4), namespace: 'n', creatorIdentity: 'c' });
    story.run('addExecutionToFlow', { flowId: FLOW, executionId: idOf(4) });
    story.end(2, 'cancelExecution');
    story.run('addDependency', depend(2, 4));
    expect(story.states(4)).toEqual(['skipped']);
  });

  test('addExecutionToFlow refuses executions of other flows and namespaces', () => {
    const story = grown(false);
    story.run('createFlow', { ...flowOf({}), flowId: idOf(901) });
    const join = (n: number, flowId = idOf(901)) =>
      story.answer('addExecutionToFlow', { flowId, executionId: idOf(n) });
    expect(join(1)).toMatch(/^execution_already_in_flow .*0900/);
    expect(join(44)).toMatch(/^execution_not_found/);
    expect(join(1, idOf(902))).toMatch(/^flow_not_found/);
    story.run('createExecution', { ...member(5), namespace: 'other', creatorIdentity: 'c' });
    expect(join(5)).toMatch(/^invalid_input .*namespace/);
    story.run('createExecution', { ...member(6), namespace: 'n', creatorIdentity: 'c' });
    story.end(6, 'cancelExecution');
    expect(join(6)).toMatch(/^execution_not_eligible/);
    story.run('cancelFlowHeader', { flowId: idOf(901) });
    expect(join(6)).toMatch(/^flow_already_terminal/);
  });

  test('addExecutionToFlow refuses work that could be claimed before the seal: owned or suspended', () => {
    const story = new Story();
    for (const n of [1, 2, 3]) story.run('createExecution', { ...member(n), namespace: 'n', creatorIdentity: 'c' });
    story.claim();
    story.run('delayExecution', { executionId: idOf(3), fence: story.fence(3), delayUntil: story.now + 1_000 });
    story.run('suspendExecution', {
      executionId: idOf(2),
      fence: story.fence(2),
      suspensionId: uuid(70),
      waitpoints: [{ waitpointId: uuid(71), waitpointKey: 'w' }],
      resumeCondition: { type: 'operator_only' },
    });
    const join = (n: number, flowId = FLOW) => story.answer('addExecutionToFlow', { flowId, executionId: idOf(n) });
    story.run('createFlow', flowOf({ members: [] }, { building: true }));
    expect(join(1)).toBe('execution_not_eligible {"lifecyclePhase":"active","publicState":"active"}');
    expect(join(2)).toBe('execution_not_eligible {"lifecyclePhase":"suspended","publicState":"suspended"}');
    expect(join(3)).toMatchObject({ kind: 'added' });
    story.now += 1_000;
    story.due();
    expect(story.claim()).toEqual([]);
    story.run('createFlow', { ...flowOf({ members: [] }), flowId: idOf(901) });
    expect(join(1, idOf(901))).toMatchObject({ kind: 'added' });
  });

  test('setEdgeGroupPolicy holds until the first edge', () => {
    const story = grown(false);
    const set = (policy: ArgsOf<'setEdgeGroupPolicy'>['policy'], flowId = FLOW, n = 2) =>
      story.answer('setEdgeGroupPolicy', { flowId, downstreamExecutionId: idOf(n), policy });
    expect(set({ kind: 'any_of' })).toEqual({ kind: 'set' });
    expect(set({ kind: 'any_of' })).toEqual({ kind: 'already_set' });
    expect(set({ kind: 'quorum', k: 1 })).toEqual({ kind: 'set' });
    expect(set({ kind: 'all_of' }, idOf(901))).toMatch(/^flow_not_found/);
    expect(set({ kind: 'all_of' }, FLOW, 44)).toMatch(/^execution_not_in_flow/);
    story.run('addDependency', depend(1, 2));
    expect(set({ kind: 'all_of' })).toMatch(/^edge_group_policy_fixed/);
    story.claim();
    expect(set({ kind: 'any_of' }, FLOW, 1)).toMatch(/^execution_not_eligible/);
    story.run('closeFlow', { flowId: FLOW });
    expect(set({ kind: 'any_of' }, FLOW, 1)).toMatch(/^flow_closed/);
    story.run('cancelFlowHeader', { flowId: FLOW });
    expect(set({ kind: 'any_of' })).toMatch(/^flow_already_terminal/);
  });

  test('no member of a flow can be claimed before the seal', () => {
    const story = grown(true);
    story.run('addDependency', depend(1, 2));
    expect(story.claim()).toEqual([]);
    expect(story.answer('sealFlow', { flowId: FLOW })).toEqual({ kind: 'sealed', flowId: FLOW });
    expect(story.answer('sealFlow', { flowId: FLOW })).toMatchObject({ reason: 'already_sealed' });
    expect(story.answer('sealFlow', { flowId: idOf(901) })).toMatch(/^flow_not_found/);
    expect(story.claim()).toEqual([idOf(1)]);
  });

  test('closing a flow ends members that wait for more edges than exist', () => {
    const story = grown(false);
    story.run('setEdgeGroupPolicy', {
      flowId: FLOW,
      downstreamExecutionId: idOf(2),
      policy: { kind: 'quorum', k: 2, onSatisfied: 'let_run' },
    });
    story.run('addDependency', depend(1, 2));
    story.claim();
    story.end(1);
    expect(story.states(2)).toEqual(['blocked_dependencies']);
    expect(story.answer('closeFlow', { flowId: FLOW })).toEqual({ kind: 'closed', flowId: FLOW });
    expect(story.answer('closeFlow', { flowId: FLOW })).toMatchObject({ reason: 'already_closed' });
    expect(story.states(2)).toEqual(['skipped']);
  });

  test('a flow that was cancelled gets no further edges, so a group with too few of them is impossible', () => {
    for (const isEnded of [true, false]) {
      const story = grown(false);
      story.run('setEdgeGroupPolicy', {
        flowId: FLOW,
        downstreamExecutionId: idOf(2),
        policy: { kind: 'quorum', k: 2, onSatisfied: 'let_run' },
      });
      story.run('addDependency', depend(1, 2));
      story.claim();
      if (isEnded) story.end(1);
      expect(story.states(2)).toEqual(['blocked_dependencies']);
      story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy: 'flow_only' });
      expect(story.states(1, 2)).toEqual([isEnded ? 'completed' : 'running', 'skipped']);
    }
  });
});

describe('cancelFlowHeader', () => {
  const chain = (): Story => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1), member(2), member(3)], edges: [edge(1, 2)] }));
    return story;
  };

  test('cancel_all ends every member that has not ended', () => {
    const story = chain();
    story.claim();
    story.end(3);
    expect(story.answer('cancelFlowHeader', { flowId: FLOW, reason: 'enough' })).toEqual({
      kind: 'cancelled',
      cancellationPolicy: 'cancel_all',
      memberCount: 3,
    });
    expect(story.states(1, 2, 3)).toEqual(['cancelled', 'cancelled', 'completed']);
    expect(story.answer('cancelFlowHeader', { flowId: FLOW })).toEqual({
      kind: 'already_terminal',
      storedCancellationPolicy: 'cancel_all',
      storedCancelReason: 'enough',
      memberCount: 3,
    });
    expect(story.answer('cancelFlowHeader', { flowId: idOf(901) })).toMatch(/^flow_not_found/);
    expect(story.answer('replayExecution', { executionId: idOf(1) })).toMatch(/^flow_already_terminal/);
  });

  test('cancel_pending leaves running members alone, and no other member begins', () => {
    const story = chain();
    story.claim();
    story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy: 'cancel_pending' });
    expect(story.states(1, 2, 3)).toEqual(['running', 'cancelled', 'running']);
    story.end(1);
    expect(story.states(2)).toEqual(['cancelled']);
  });

  test('cancel_pending ends a running member that returns unfinished', () => {
    const comesBack = (how: (story: Story) => void): unknown => {
      const story = chain();
      story.claim();
      story.run('cancelFlowHeader', { flowId: FLOW, reason: 'enough', cancellationPolicy: 'cancel_pending' });
      how(story);
      expect(story.states(1)).toEqual(['cancelled']);
      return story.execution(1)?.cancelledBy;
    };
    const by = { executionId: idOf(1), source: 'operator_override' } as const;
    const failure = { failureReason: 'r', failureClass: 'transient' } as const;
    const retryPolicy = { maxRetries: 1, backoff: { type: 'fixed', delayMs: 10 } } as const;
    expect(comesBack((story) => story.run('releaseLease', { executionId: idOf(1), fence: story.fence(1) }))).toBe(
      'flow_cascade',
    );
    expect(comesBack((story) => story.run('delayExecution', { ...by, delayUntil: START + 99_999 }))).toBe(
      'flow_cascade',
    );
    expect(comesBack((story) => story.run('failExecution', { ...by, ...failure, retryPolicy }))).toBe('flow_cascade');
    // Of those that are lost, one that another worker takes up goes on: it has begun.
    const story = chain();
    story.claim();
    story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy: 'cancel_pending' });
    story.run('revokeLease', { executionId: idOf(1), reason: 'r' });
    expect(story.claim()).toEqual([idOf(1)]);
  });

  test('the downstream of a returned member learns of its end', () => {
    const story = chain();
    story.claim();
    story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy: 'cancel_pending' });
    story.run('releaseLease', { executionId: idOf(1), fence: story.fence(1) });
    expect(story.events.map(({ type }) => type)).toEqual([
      'lease_released',
      'execution_cancelled',
      'dependency_resolved',
      'edge_group_fired',
    ]);
  });

  test.each(['fail', 'cancel', 'expire', 'auto_resume'] as const)(
    'a wait that times out as %s before the cancellation reaches it ends its execution once',
    (timeoutBehavior) => {
      const story = new Story();
      const numbers = Array.from({ length: UNITS_AT_ONCE + 2 }, (_, i) => i + 1);
      story.run('createFlow', flowOf({ members: numbers.map((n) => member(n)) }));
      story.claim();
      const bindings = { suspensionId: uuid(800), waitpoints: [{ waitpointId: uuid(801), waitpointKey: 'wpk:a' }] };
      const until = { timeoutAt: START + 10, timeoutBehavior, resumeCondition: { type: 'timeout_only' } } as const;
      story.run('suspendExecution', { executionId: idOf(1), fence: story.fence(1), ...bindings, ...until });
      story.run('cancelFlowHeader', { flowId: FLOW });
      expect(story.states(1)).toEqual(['suspended']);
      story.now = START + 10;
      story.run('expireSuspension', { executionId: idOf(1) });
      const ended = { fail: 'failed', cancel: 'cancelled', expire: 'expired', auto_resume: 'cancelled' };
      expect(story.states(1)).toEqual([ended[timeoutBehavior]]);
    },
  );

  test('a pass ends members together with their outgoing edges, so one walk is left', () => {
    const story = new Story();
    const numbers = Array.from({ length: 200 }, (_, i) => i + 1);
    const edges = numbers.flatMap((n) => [n + 1, n + 7].filter((to) => to <= 200).map((to) => edge(n, to)));
    story.run('createFlow', flowOf({ members: numbers.map((n) => member(n)), edges }));
    story.run('cancelFlowHeader', { flowId: FLOW });
    let passes = 0;
    for (; story.walks.length > 0; passes++) {
      expect(story.walks.map(({ walkKind }) => walkKind)).toEqual(['cancel']);
      story.due();
    }
    // Each member is a unit, and so is each edge: some 21 members in the call, and 26 in a pass.
    expect(passes).toBe(7);
    expect(new Set(story.states(...numbers))).toEqual(new Set(['cancelled']));
  });

  test('flow_only freezes the graph only', () => {
    const story = chain();
    story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy: 'flow_only' });
    story.claim();
    story.end(1);
    expect(story.states(2)).toEqual(['ready']);
  });
});

describe('children', () => {
  const child = (n: number) => ({ ...member(n), edgeId: uuid(700 + n) });
  const spawning = (more: object = {}): ArgsOf<'spawnChildren'> => ({
    executionId: idOf(1),
    source: 'operator_override',
    flowId: FLOW,
    children: [child(2), child(3)],
    ...more,
  });
  const parent = (): Story => {
    const story = new Story();
    story.run('createExecution', { ...member(1), namespace: 'n', creatorIdentity: 'c' });
    story.claim();
    return story;
  };
  const awaiting = { executionId: idOf(1), source: 'operator_override' } as const;

  test('a parent waits for its children without a slot, and continues its attempt', () => {
    const story = parent();
    expect(story.answer('moveToWaitingChildren', awaiting)).toEqual({ kind: 'not_waiting', groupState: 'none' });
    expect(story.answer('spawnChildren', spawning())).toEqual({ kind: 'spawned', flowId: FLOW });
    expect(story.answer('spawnChildren', spawning())).toEqual({ kind: 'already_spawned', flowId: FLOW });
    expect(story.answer('moveToWaitingChildren', awaiting)).toMatchObject({ kind: 'moved' });
    expect(story.states(1, 2, 3)).toEqual(['blocked_dependencies', 'ready', 'ready']);
    story.claim();
    story.end(2);
    story.end(3);
    expect(story.execution(1)).toMatchObject({ situation: 'ready', nextAttempt: 'resume' });
    expect(story.claim()).toEqual([idOf(1)]);
    expect(story.answer('moveToWaitingChildren', awaiting)).toEqual({ kind: 'not_waiting', groupState: 'satisfied' });
    const more = spawning({ children: [child(4)], policy: { kind: 'any_of', onSatisfied: 'let_run' } });
    expect(story.answer('spawnChildren', more)).toMatchObject({ kind: 'spawned' });
    expect(story.execution(1)).toMatchObject({ groupRound: 2, dependencyCount: 1, groupState: 'pending' });
    const other = spawning({ children: [child(5)] });
    expect(story.answer('spawnChildren', other)).toMatch(/^edge_group_policy_fixed/);
  });

  test('a repeated call after a lost answer gets the same answer, and other callers do not', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    const fence = story.fence(1);
    const parked = { kind: 'moved', executionId: idOf(1) };
    for (const _ of ['first', 'again'])
      expect(story.answer('moveToWaitingChildren', { executionId: idOf(1), fence })).toMatchObject(parked);
    expect(story.events).toEqual([]);
    expect(story.answer('moveToWaitingChildren', awaiting)).toMatch(/^execution_not_active/);
    story.claim();
    story.end(2);
    story.end(3);
    expect(story.states(1)).toEqual(['ready']);
    expect(story.answer('moveToWaitingChildren', { executionId: idOf(1), fence })).toMatchObject(parked);
  });

  test('an attempt that was handed back was not moved, even if its children are undecided', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    const fence = story.fence(1);
    story.run('releaseLease', { executionId: idOf(1), fence });
    expect(story.answer('moveToWaitingChildren', { executionId: idOf(1), fence })).toMatch(/^execution_not_active/);
  });

  test('a parent whose children cannot succeed continues: it is not skipped, and can be replayed', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    story.run('moveToWaitingChildren', awaiting);
    story.end(2, 'cancelExecution');
    expect(story.execution(1)).toMatchObject({ situation: 'ready', groupState: 'impossible' });
    story.claim();
    story.end(1);
    expect(story.answer('replayExecution', { executionId: idOf(1) })).toMatchObject({ publicState: 'waiting' });
  });

  test('a parent whose children cannot succeed is replayed and continues, although one child runs again', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    story.run('moveToWaitingChildren', awaiting);
    story.end(2, 'cancelExecution');
    story.end(3, 'cancelExecution');
    story.claim();
    story.end(1);
    story.run('replayExecution', { executionId: idOf(2) });
    expect(story.answer('replayExecution', { executionId: idOf(1) })).toMatchObject({ publicState: 'waiting' });
    expect(story.execution(1)).toMatchObject({ situation: 'ready', groupState: 'impossible', failedCount: 2 });
  });

  const beside = (seenChildren: number, awaitedChildren: number, n = 1): ArgsOf<'suspendExecution'> => ({
    ...{ executionId: idOf(1), fence: undefined, attemptIndex: 0, suspensionId: uuid(800 + n) },
    waitpoints: [{ waitpointId: uuid(810 + n), waitpointKey: 'go' }],
    resumeCondition: { type: 'single', waitpointKey: 'go', matcher: { type: 'wildcard' } },
    ...{ seenChildren, awaitedChildren },
  });

  test('a suspended parent continues once enough of its children have ended, or one failed', () => {
    for (const [how, ends] of [
      ['completeExecution', 2],
      ['cancelExecution', 1],
    ] as const) {
      const story = parent();
      story.run('spawnChildren', spawning());
      story.run('suspendExecution', { ...beside(0, 2), fence: story.fence(1) });
      expect(story.states(1)).toEqual(['suspended']);
      story.claim();
      if (ends === 2) {
        story.end(3);
        expect(story.states(1)).toEqual(['suspended']);
      }
      story.end(2, how);
      expect(story.events.at(-1)).toMatchObject({
        ...{ type: 'suspension_closed', executionId: idOf(1) },
        ...{ closeReason: 'children_ended', resumeTrigger: 'children' },
      });
      expect(story.execution(1)).toMatchObject({ situation: 'ready', nextAttempt: 'resume', endedChildren: ends });
    }
  });

  test('an unseen end of a child refuses the suspension', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    story.claim();
    story.end(2);
    const fence = story.fence(1);
    expect(story.answer('suspendExecution', { ...beside(0, 1), fence })).toMatch(/^children_ended/);
    expect(story.answer('suspendExecution', { ...beside(1, 2), fence })).toMatchObject({ kind: 'suspended' });
    expect(() => story.run('suspendExecution', { ...beside(2, 2), fence })).toThrow(/awaitedChildren/);
  });

  test('a suspension that waits for more children than can end is refused, and one for the last child is not', () => {
    const story = parent();
    const fence = story.fence(1);
    const refusal = /^invalid_input.*"field":"awaitedChildren".*"openChildren":"0"/;
    expect(story.answer('suspendExecution', { ...beside(0, 1), fence })).toMatch(refusal);
    story.run('spawnChildren', spawning());
    expect(story.execution(1)).toMatchObject({ openChildren: 2 });
    story.claim();
    story.end(2);
    expect(story.execution(1)).toMatchObject({ openChildren: 1, endedChildren: 1 });
    expect(story.answer('suspendExecution', { ...beside(1, 3), fence })).toMatch(/^invalid_input.*"openChildren":"1"/);
    expect(story.answer('suspendExecution', { ...beside(1, 2), fence })).toMatchObject({ kind: 'suspended' });
    story.end(3);
    expect(story.execution(1)).toMatchObject({ situation: 'ready', openChildren: 0 });
  });

  test('a child that runs again for its replayed parent counts as open', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    story.run('moveToWaitingChildren', awaiting);
    story.end(2, 'cancelExecution');
    story.claim();
    story.end(3);
    expect(story.execution(1)).toMatchObject({ openChildren: 0, groupState: 'impossible' });
    story.end(1);
    story.run('replayExecution', { executionId: idOf(2) });
    story.run('replayExecution', { executionId: idOf(1) });
    expect(story.execution(1)).toMatchObject({ situation: 'blocked_dependencies', openChildren: 1, endedChildren: 2 });
  });

  test('the idempotency key of a suspension covers the number of awaited children', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    const named = { fence: story.fence(1), idempotencyKey: 'k' };
    story.run('suspendExecution', { ...beside(0, 1), ...named });
    expect(story.answer('suspendExecution', { ...beside(0, 2, 2), ...named })).toMatch(/^idempotency_conflict/);
    expect(story.answer('suspendExecution', { ...beside(0, 1, 2), ...named })).toMatchObject({
      suspensionId: uuid(801),
    });
  });

  test('a group of its own leaves the earlier children alone, and their ends still count', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    const any = { kind: 'any_of', onSatisfied: 'cancel_remaining' } as const;
    const more = spawning({ children: [child(4), child(5)], policy: any, asNewGroup: true });
    expect(story.answer('spawnChildren', more)).toMatchObject({ kind: 'spawned' });
    expect(story.execution(1)).toMatchObject({ groupRound: 2, dependencyCount: 2, groupState: 'pending' });
    story.run('suspendExecution', { ...beside(0, 2), fence: story.fence(1) });
    story.claim();
    story.end(2);
    expect(story.execution(1)).toMatchObject({ situation: 'suspended', endedChildren: 1, succeededCount: 0 });
    story.end(4);
    expect(story.execution(1)).toMatchObject({ situation: 'ready', groupState: 'satisfied' });
    // The sibling of the newest group is cancelled; the earlier child goes on.
    expect(story.states(5, 3)).toEqual(['cancelled', 'running']);
    const orders = Object.values(story.execution(1)?.dependencies ?? {}).map(({ endOrder }) => endOrder);
    expect(orders.sort()).toEqual([0, 1, 2, 3]);
  });

  /** A parent with a group of two children, which is undecided, and a newer one of another child, which has ended. */
  const twoGroups = () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    story.run('spawnChildren', spawning({ children: [child(4)], asNewGroup: true }));
    story.run('suspendExecution', { ...beside(0, 3), fence: story.fence(1) });
    story.claim();
    story.end(4);
    return story;
  };
  const edgesTo = (story: ReturnType<typeof parent>) =>
    Object.values(story.execution(1)?.dependencies ?? {}).map(({ edgeState, isLate }) => `${edgeState} ${isLate}`);

  test('edges of a group that the handler decides are never late', () => {
    const story = twoGroups();
    story.end(2);
    story.end(3, 'cancelExecution');
    expect(edgesTo(story)).toEqual(['satisfied false', 'impossible false', 'satisfied false']);
  });

  test('a replayed parent waits again for children of every group that run again or completed meanwhile', () => {
    const story = twoGroups();
    story.end(2, 'cancelExecution');
    story.end(3, 'cancelExecution');
    story.claim();
    story.end(1, 'cancelExecution');
    story.run('replayExecution', { executionId: idOf(2) });
    story.run('replayExecution', { executionId: idOf(3) });
    story.claim();
    story.end(3);
    expect(edgesTo(story)).toEqual(['impossible false', 'impossible false', 'satisfied false']);
    const before = story.execution(1);
    // The newest group is satisfied, so the parent runs at once, and its handler waits for the child that runs.
    expect(story.answer('replayExecution', { executionId: idOf(1) })).toMatchObject({ publicState: 'waiting' });
    expect(story.events.map(({ type }) => type).slice(-4)).toEqual([
      'dependency_reopened',
      'dependency_reopened',
      'execution_replayed',
      'dependency_resolved',
    ]);
    expect(edgesTo(story)).toEqual(['unsatisfied false', 'satisfied false', 'satisfied false']);
    const { groupState, dependencyCount, succeededCount, failedCount, endedChildren = 0 } = before ?? {};
    expect(story.execution(1)).toMatchObject({ groupState, dependencyCount, succeededCount, failedCount });
    expect(story.execution(1)).toMatchObject({ situation: 'ready', endedChildren: endedChildren + 1 });
  });

  test('a parent of a cancelled flow is ended in the step in which its children resume it', () => {
    const story = parent();
    story.run('spawnChildren', spawning());
    story.run('suspendExecution', { ...beside(0, 1), fence: story.fence(1) });
    story.claim();
    story.run('cancelFlowHeader', { flowId: FLOW, cancellationPolicy: 'cancel_pending' });
    expect(story.states(1, 2)).toEqual(['suspended', 'running']);
    story.end(2);
    expect(story.states(1)).toEqual(['cancelled']);
  });

  test('refuses invalid children', () => {
    const story = parent();
    expect(story.answer('spawnChildren', spawning({ executionId: idOf(44) }))).toMatch(/^execution_not_found/);
    expect(story.answer('moveToWaitingChildren', { ...awaiting, executionId: idOf(44) })).toMatch(
      /^execution_not_found/,
    );
    expect(story.answer('spawnChildren', spawning({ source: 'lease_holder' }))).toMatch(/^fence_required/);
    story.run('createFlow', flowOf({ members: [member(8)] }));
    expect(story.answer('spawnChildren', spawning())).toMatch(/^invalid_input .*flowId/);
  });

  test('a closed flow accepts children of its members', () => {
    const story = parent();
    story.run('createFlow', flowOf({ members: [member(8)] }));
    story.run('addExecutionToFlow', { flowId: FLOW, executionId: idOf(1) });
    story.run('closeFlow', { flowId: FLOW });
    expect(story.answer('spawnChildren', spawning())).toEqual({ kind: 'spawned', flowId: FLOW });
  });

  test('a parent that ends badly ends its children and theirs; one that completes does not', () => {
    for (const how of ['cancelExecution', 'completeExecution'] as const) {
      const story = parent();
      story.run('spawnChildren', spawning({ policy: { kind: 'any_of', onSatisfied: 'let_run' } }));
      story.claim();
      story.end(2);
      story.run('spawnChildren', spawning({ children: [child(4)] }));
      story.run('spawnChildren', { ...spawning({ children: [child(5)] }), executionId: idOf(3) });
      story.end(1, how);
      const left = how === 'cancelExecution' ? ['cancelled', 'cancelled', 'cancelled'] : ['running', 'ready', 'ready'];
      expect(story.states(2, 3, 4, 5)).toEqual(['completed', ...left]);
      if (how === 'cancelExecution') expect(story.execution(3)?.cancellationReason).toBe('parent_cancelled');
    }
  });

  test('a walk ends the children that one call cannot, and no claim starts them until then', () => {
    const story = parent();
    story.run('spawnChildren', spawning({ children: Array.from({ length: 150 }, (_, i) => child(i + 2)) }));
    story.end(1, 'cancelExecution');
    expect(story.walks).toMatchObject([{ walkKind: 'siblings', walkOf: uuid(1) }]);
    expect(story.claim()).toEqual([]);
    expect(story.events.filter(({ type }) => type === 'execution_cancelled')).toHaveLength(10);
    for (let i = 0; i < 30; i++) story.due();
    expect(story.walks).toEqual([]);
    expect(new Set(story.states(...Array.from({ length: 150 }, (_, i) => i + 2)))).toEqual(new Set(['cancelled']));
  });
});

test('a claim ends the members that a walk has yet to cancel', () => {
  const story = fan(200, { kind: 'any_of', onSatisfied: 'cancel_remaining' });
  story.claim();
  story.end(1);
  expect(story.walks.length).toBeGreaterThan(0);
  expect(story.claim().filter((id) => id !== idOf(999))).toEqual([]);
  expect(story.events.filter(({ type }) => type === 'execution_cancelled').length).toBeGreaterThan(0);
  const other = new Story();
  const members = Array.from({ length: 150 }, (_, i) => member(i + 1));
  other.run('createFlow', flowOf({ members }));
  other.run('cancelFlowHeader', { flowId: FLOW });
  expect(other.walks.length).toBe(1);
  const claim = other.run('claimForWorker', {
    ...{ partition: PARTITION, laneId: 'lane', workerId: 'w', workerInstanceId: 'w-1' },
    claims: [1, 2].map((n) => ({ leaseId: uuid(9_000 + n), attemptId: uuid(9_100 + n) })),
  });
  // It has looked at two and cancelled them: there may be others behind them.
  expect(claim).toMatchObject({ outcome: { kind: 'no_work', reclaimCapExceeded: [], cancelled: [idOf(1), idOf(2)] } });
  expect(other.claim()).toEqual([]);
  for (let i = 0; i < 5; i++) other.due();
  expect(other.states(1, 150)).toEqual(['cancelled', 'cancelled']);
});

test('a claim starts a member that was replayed after the walk of a race passed it', () => {
  const story = fan(200, { kind: 'any_of', onSatisfied: 'cancel_remaining' });
  story.claim();
  story.end(1);
  expect(story.walks.map(({ walkKind }) => walkKind)).toEqual(['siblings']);
  expect(story.states(2)).toEqual(['cancelled']);
  story.run('replayExecution', { executionId: idOf(2) });
  expect(story.claim()).toContain(idOf(2));
  for (let i = 0; i < 30; i++) story.due();
  expect([story.walks, ...story.states(2, 200)]).toEqual([[], 'running', 'cancelled']);
});

test('neither a scheduler nor an operator can claim a member that a walk has yet to cancel', () => {
  const story = new Story();
  const worker = { workerId: 'w', workerInstanceId: 'w-1' };
  const grant = (n: number) => ({ executionId: idOf(n), ...worker, grantId: uuid(6_000 + n), grantTtlMs: 10_000 });
  const claim = (n: number) => ({
    executionId: idOf(n),
    ...worker,
    leaseId: uuid(7_000 + n),
    attemptId: uuid(8_000 + n),
  });
  story.run('createFlow', flowOf({ members: Array.from({ length: 150 }, (_, i) => member(i + 1)) }));
  // The last that joined are cancelled at once, these are not.
  for (const n of [1, 2, 3]) story.run('issueClaimGrant', grant(n));
  for (const n of [2, 3]) story.run('claimExecution', claim(n));
  story.run('releaseLease', { executionId: idOf(3), fence: story.fence(3) });
  story.run('issueClaimGrant', { ...grant(3), grantId: uuid(6_999) });
  story.run('revokeLease', { executionId: idOf(2), reason: 'r' });
  story.run('cancelFlowHeader', { flowId: FLOW });
  expect(story.states(1, 2, 3, 4)).toEqual(['ready', 'lease_revoked', 'ready', 'ready']);
  expect(story.answer('claimExecution', claim(1))).toMatch(/^execution_not_leaseable/);
  const { attemptId: _, ...resumed } = claim(3);
  expect(story.answer('claimResumedExecution', { ...resumed, leaseId: uuid(7_999) })).toMatch(
    /^execution_not_leaseable/,
  );
  expect(story.answer('issueClaimGrant', grant(4))).toBe('execution_not_eligible {"reason":"cancel_owed"}');
  expect(
    story.answer('issueGrantAndClaim', { executionId: idOf(4), leaseId: uuid(7_004), attemptId: uuid(8_004) }),
  ).toBe('execution_not_eligible {"reason":"cancel_owed"}');
  expect(story.answer('issueReclaimGrant', grant(2))).toMatchObject({ kind: 'not_reclaimable', detail: 'cancel_owed' });
  expect(story.answer('reclaimExecution', claim(2))).toMatchObject({ kind: 'not_reclaimable' });
});

describe('results of upstreams', () => {
  const policy = { timeoutPolicy: { attemptTimeoutMs: 700 } };
  const pair = (given = true): Story => {
    const story = new Story();
    const edges = [edge(1, 2, given ? { dataPassingRef: 'it' } : {})];
    story.run('createFlow', flowOf({ members: [member(1), { ...member(2), policy }], edges }));
    story.claim();
    story.run('completeExecution', {
      executionId: idOf(1),
      source: 'operator_override',
      resultPayload: Buffer.from('r'),
    });
    return story;
  };
  const row = { edgeId: edge(1, 2).edgeId, dataPassingRef: 'it', resultEncoding: undefined };

  test('come with the claim, and again with a reclaim', () => {
    const story = pair();
    const given = { upstreamResults: [{ ...row, result: Buffer.from('r') }], moreUpstreamResults: false };
    expect(story.taken()).toMatchObject([{ executionId: idOf(2), ...given }]);
    story.run('releaseLease', { executionId: idOf(2), fence: story.fence(2) });
    expect(story.taken()).toMatchObject([{ executionId: idOf(2), claimKind: 'resumed', ...given }]);
  });

  test('are delivered by edges with a name for them only', () => {
    expect(pair(false).taken()).toMatchObject([{ upstreamResults: [], moreUpstreamResults: false }]);
  });

  test('are absent while the upstream runs again', () => {
    const story = pair();
    story.run('replayExecution', { executionId: idOf(1) });
    const taken = story.taken()[1];
    expect(taken).toMatchObject({ executionId: idOf(2), upstreamResults: [], moreUpstreamResults: true });
    // The attempt begins when its owner has read what is missing.
    expect(taken).toMatchObject({ attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: 700 });
  });

  test('do not come with a claim by id: its attempt begins once they were read', () => {
    expect(pair().taken()).toMatchObject([{ attemptTimeoutRemainingMs: undefined }]);
    const story = pair();
    const ids = { leaseId: uuid(7_002), attemptId: uuid(8_002) };
    const taken = story.run('issueGrantAndClaim', { executionId: idOf(2), ...ids });
    expect(taken).toMatchObject({
      outcome: { kind: 'claimed', attemptTimeoutAt: undefined, attemptTimeoutRemainingMs: 700 },
    });
  });

  test('beyond the edges of one claim are left to be read', () => {
    const story = new Story();
    const numbers = Array.from({ length: 101 }, (_, i) => i + 1);
    const edges = numbers.map((n) => edge(n, 999, { dataPassingRef: `${n}` }));
    story.run('createFlow', flowOf({ members: [...numbers, 999].map((n) => member(n)), edges }));
    while (story.claim().length > 0);
    for (const n of numbers) story.end(n);
    expect(story.taken()).toMatchObject([{ executionId: idOf(999), upstreamResults: [], moreUpstreamResults: true }]);
  });
});

describe('setFlowTags', () => {
  test('merges tags, up to a maximum', () => {
    const story = new Story();
    story.run('createFlow', { ...flowOf({}), tags: { 'a.b': '1' } });
    const set = (tags: Record<string, string>, flowId = FLOW) => story.answer('setFlowTags', { flowId, tags });
    expect(set({ 'a.c': '2' })).toEqual({ kind: 'ok', count: 1 });
    expect(story.flow?.tags).toEqual({ 'a.b': '1', 'a.c': '2' });
    set({ 'a.c': '2' });
    expect(story.events).toEqual([]);
    expect(set({ 'a.c': '2' }, idOf(901))).toMatch(/^flow_not_found/);
    expect(set(Object.fromEntries(Array.from({ length: 63 }, (_, i) => [`t.${i}`, 'x'])))).toMatch(/^too_many_tags/);
  });
});

describe('the end of a flow', () => {
  test('members are purged with their flow, and not before', () => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1), member(2)], edges: [edge(1, 2)] }));
    story.claim();
    story.end(1);
    story.now += 10 * RETENTION_MS;
    story.due();
    expect(story.execution(1)).toBeDefined();
    expect(story.answer('purgeExecution', { executionId: idOf(1) })).toMatchObject({ kind: 'not_yet_due' });
    story.claim();
    story.end(2);
    const purgeAt = story.flow?.purgeAt as number;
    expect(purgeAt).toBeGreaterThan(story.now);
    story.now = purgeAt;
    story.due();
    expect([story.execution(1), story.execution(2)]).toEqual([undefined, undefined]);
    story.due();
    expect(story.flow).toBeUndefined();
  });

  test('members are purged in parts, the newest first', () => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1), member(2), member(3)] }));
    story.claim();
    for (const n of [1, 2, 3]) story.end(n);
    story.now = story.flow?.purgeAt as number;
    // Each costs four units of a pass.
    story.run('applyDue', { partition: PARTITION, limit: 8 });
    expect(story.states(1, 2, 3)).toEqual(['completed', undefined, undefined]);
    expect(story.flow?.isPurging).toBe(true);
  });

  test('a flow is purged only when nothing else is due, also where the rest became due later', () => {
    const story = new Story();
    for (const n of [10, 11, 12]) {
      story.run('createFlow', { ...flowOf({ members: [member(n)] }), flowId: idOf(900 + n) });
      story.end(n, 'cancelExecution');
    }
    story.now += 10 * RETENTION_MS;
    story.run('createExecution', { ...member(1), namespace: 'n', creatorIdentity: 'c', delayUntil: story.now + 1 });
    story.now += 1;
    story.run('applyDue', { partition: PARTITION, limit: 2 });
    expect(story.states(1, 10, 11, 12)).toEqual(['ready', 'cancelled', 'cancelled', 'cancelled']);
    for (let pass = 0; pass < 6; pass++) story.due();
    expect(story.states(10, 11, 12)).toEqual([undefined, undefined, undefined]);
  });

  test('active walks end with the flow and the members that they concern', () => {
    const story = new Story();
    const others = Array.from({ length: 149 }, (_, i) => i + 2);
    const graph = { members: [1, ...others].map((n) => member(n)), edges: others.map((n) => edge(1, n)) };
    story.run('createFlow', flowOf(graph));
    for (const n of [...others, 1]) story.end(n, 'cancelExecution');
    story.now = story.flow?.purgeAt as number;
    story.run('closeFlow', { flowId: FLOW });
    // Both have more to do than one pass does, and go on at a later time than the purge.
    expect(story.walks.map(({ walkKind }) => walkKind)).toEqual(['resolve', 'evaluate']);
    for (let pass = 0; pass < 10 && story.flow !== undefined; pass++) story.dueInOrder();
    expect([story.flow, story.execution(1), story.walks]).toEqual([undefined, undefined, []]);
  });

  const retained = (retentionTtlMs: number) => ({ policy: { streamPolicy: { retentionTtlMs } } });
  const MINUTE_MS = 60_000;

  test.each([
    ['the deployment, without others', [undefined, undefined], RETENTION_MS],
    ['its members, if all have a shorter one', [MINUTE_MS, 3 * MINUTE_MS, 2 * MINUTE_MS], 3 * MINUTE_MS],
    ['the deployment, if a member has none', [MINUTE_MS, undefined, MINUTE_MS], RETENTION_MS],
    ['the deployment, if the first member has none', [undefined, MINUTE_MS], RETENTION_MS],
    ['a member that has a longer one', [undefined, 3 * RETENTION_MS, MINUTE_MS], 3 * RETENTION_MS],
    ['nobody, if a member is kept for good', [MINUTE_MS, -1, undefined], undefined],
  ])('the members go together, after the retention of %s', (_, retentions, expected) => {
    const story = new Story();
    const members = retentions.map((ms, i) => member(i + 1, ms === undefined ? {} : retained(ms)));
    story.run('createFlow', flowOf({ members }));
    for (const index of members.keys()) {
      story.end(index + 1, 'cancelExecution');
      story.now += MINUTE_MS / 2;
    }
    const endedAt = story.now - MINUTE_MS / 2;
    const purgeAt = story.flow?.purgeAt;
    if (expected === undefined) {
      expect(story.flow).toMatchObject({ purgeAt: undefined, isKept: true });
      return;
    }
    expect(purgeAt).toBeGreaterThanOrEqual(endedAt + expected);
    expect(purgeAt).toBeLessThan(endedAt + expected + MINUTE_MS);
    story.now = (purgeAt as number) - 1;
    story.due();
    expect(story.states(1, members.length)).toEqual(['cancelled', 'cancelled']);
    story.now += 1;
    for (let pass = 0; pass < 3; pass++) story.due();
    expect([...story.states(1, members.length), story.flow]).toEqual([undefined, undefined, undefined]);
  });

  test('a flow with its own id is known for as long as it asked, and for the keys of executions that joined', () => {
    const story = new Story();
    story.run('createFlow', { ...flowOf({ members: [member(1, retained(MINUTE_MS))] }), dedupWindowMs: 5 * MINUTE_MS });
    const createdAt = story.now;
    story.end(1, 'cancelExecution');
    expect(story.flow?.purgeAt).toBeGreaterThanOrEqual(createdAt + 5 * MINUTE_MS);
    expect(story.flow?.purgeAt).toBeLessThan(createdAt + 6 * MINUTE_MS);
    const policy = { dedupWindowMs: 9 * MINUTE_MS, ...retained(0).policy };
    const other = { ...member(2, { policy }), namespace: 'n', creatorIdentity: 'c', idempotencyKey: 'key' };
    story.run('createExecution', other);
    story.run('addExecutionToFlow', { flowId: FLOW, executionId: idOf(2) });
    story.end(2, 'cancelExecution');
    expect(story.flow?.purgeAt).toBeGreaterThanOrEqual(createdAt + 9 * MINUTE_MS);
  });

  test('the end of a flow whose members are kept for good is logged once, and again after a replay', () => {
    const story = new Story();
    const policy = { streamPolicy: { retentionTtlMs: -1 } };
    story.run('createFlow', flowOf({ members: [member(1, { policy })] }));
    story.end(1, 'cancelExecution');
    expect(story.events.map(({ type }) => type)).toEqual(['execution_cancelled', 'flow_finished']);
    expect(story.flow).toMatchObject({ purgeAt: undefined, isKept: true, isPurging: false });
    story.now += 10 * RETENTION_MS;
    story.due();
    expect(story.events).toEqual([]);
    story.run('closeFlow', { flowId: FLOW });
    expect(story.events.map(({ type }) => type)).toEqual(['flow_closed']);
    story.run('replayExecution', { executionId: idOf(1) });
    expect(story.events.map(({ type }) => type)).toEqual(['flow_reopened', 'execution_replayed']);
    story.end(1, 'cancelExecution');
    expect(story.events.map(({ type }) => type)).toEqual(['execution_cancelled', 'flow_finished']);
  });

  test('a replayed member postpones the end', () => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1)] }));
    story.claim();
    story.end(1);
    expect(story.flow?.purgeAt).toBeDefined();
    story.run('replayExecution', { executionId: idOf(1) });
    expect(story.events.map(({ type }) => type)).toEqual(['flow_reopened', 'execution_replayed']);
    expect(story.flow?.purgeAt).toBeUndefined();
  });

  test('a replay of a member that was cancelled while it waited waits again', () => {
    const story = new Story();
    const members = [member(1), member(2), member(3)];
    story.run('createFlow', flowOf({ members, edges: [edge(1, 2), edge(1, 3)] }));
    story.end(2, 'cancelExecution');
    expect(story.answer('replayExecution', { executionId: idOf(2) })).toMatchObject({
      publicState: 'waiting_children',
    });
    expect(story.states(2)).toEqual(['blocked_dependencies']);
  });

  test('a skipped member is replayed after its upstream, and waits for it or finds it completed', () => {
    const story = new Story();
    const members = [member(1), member(2), member(3)];
    const replay = (n: number) => story.answer('replayExecution', { executionId: idOf(n) });
    story.run('createFlow', flowOf({ members, edges: [edge(1, 2), edge(1, 3)] }));
    story.end(1, 'cancelExecution');
    expect(story.states(2, 3)).toEqual(['skipped', 'skipped']);
    expect(replay(2)).toBe('execution_not_eligible {"reason":"dependencies_failed"}');
    expect(replay(1)).toMatchObject({ publicState: 'waiting' });
    expect(replay(2)).toMatchObject({ publicState: 'waiting_children' });
    expect(story.execution(2)).toMatchObject({ groupState: 'pending', failedCount: 0 });
    story.claim();
    story.end(1);
    expect(story.states(2)).toEqual(['ready']);
    expect(replay(3)).toMatchObject({ publicState: 'waiting' });
    expect(story.events.find(({ type }) => type === 'execution_replayed')).toMatchObject({ wasSkipped: true });
    expect(story.events.map(({ type }) => type)).toEqual([
      'dependency_reopened',
      'execution_replayed',
      'dependency_resolved',
      'edge_group_fired',
      'dependencies_met',
    ]);
    expect(story.claim().sort()).toEqual([idOf(2), idOf(3)]);
  });

  test('a skipped member is replayed only when no failed upstream is left', () => {
    const story = new Story();
    const members = [member(1), member(2), member(3)];
    const replay = (n: number) => story.answer('replayExecution', { executionId: idOf(n) });
    const late = () => Object.values(story.execution(3)?.dependencies ?? {}).map(({ isLate }) => isLate);
    story.run('createFlow', flowOf({ members, edges: [edge(1, 3), edge(2, 3)] }));
    story.end(1, 'cancelExecution');
    story.end(2, 'cancelExecution');
    expect(late()).toEqual([false, true]);
    replay(1);
    expect(replay(3)).toBe('execution_not_eligible {"reason":"dependencies_failed"}');
    replay(2);
    expect(replay(3)).toMatchObject({ publicState: 'waiting_children' });
    expect(story.execution(3)).toMatchObject({ groupState: 'pending', failedCount: 0 });
    expect(late()).toEqual([false, false]);
  });

  test('a member that is replayed after it was skipped gets the results that came after it was skipped', () => {
    const story = new Story();
    const groups = [
      { downstreamExecutionId: idOf(5), policy: { kind: 'quorum', k: 2, onSatisfied: 'let_run' } as const },
    ];
    const edges = [edge(1, 4), edge(2, 4), edge(1, 5), edge(2, 5), edge(3, 5)];
    story.run('createFlow', flowOf({ members: [1, 2, 3, 4, 5].map((n) => member(n)), edges, groups }));
    story.claim();
    story.end(1, 'cancelExecution');
    story.end(3, 'cancelExecution');
    expect(story.states(4, 5)).toEqual(['skipped', 'skipped']);
    story.end(2);
    for (const n of [1, 4, 5]) story.run('replayExecution', { executionId: idOf(n) });
    story.claim();
    story.end(1);
    const late = (n: number) =>
      Object.values(story.execution(n)?.dependencies ?? {}).flatMap(({ edgeState, isLate }) =>
        edgeState === 'satisfied' ? isLate : [],
      );
    expect([late(4), late(5)]).toEqual([
      [false, false],
      [false, false],
    ]);
  });

  test('a member of a flow that is still being created is not replayed', () => {
    const story = new Story();
    story.run('createFlow', flowOf({ members: [member(1)] }, { building: true }));
    story.end(1, 'cancelExecution');
    const replay = () => story.answer('replayExecution', { executionId: idOf(1) });
    expect(replay()).toBe('execution_not_eligible {"reason":"flow_unsettled"}');
    story.run('sealFlow', { flowId: FLOW });
    expect(replay()).toMatchObject({ publicState: 'waiting' });
  });

  test('edges that are resolved after the decision of their group do not count', () => {
    const story = fan(3, { kind: 'any_of', onSatisfied: 'let_run' });
    story.claim();
    story.end(2);
    story.end(1);
    const late = Object.values(story.execution(999)?.dependencies ?? {}).map(({ isLate }) => isLate);
    expect(late).toEqual([true, false, false]);
  });
});

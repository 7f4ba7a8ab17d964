/** Generated worlds of a flow: a graph, and commands that were given since, of which the machine may refuse some. */
import fc from 'fast-check';
import type { Command } from '../../model/machine.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { idOf, PARTITION, START, uuid } from '../model/dsl.js';

export const FLOW = idOf(90);
/** The id of a member; every member has a lane of its own, so a claim of the lane takes it. */
export const memberId = (at: number): string => idOf(1 + at);
export const laneOf = (executionId: string): string => `lane-${executionId.slice(-2)}`;

const MEMBERS = 4;

const group = fc.oneof(
  fc.constant({ kind: 'all_of' as const }),
  fc.constant({ kind: 'any_of' as const }),
  fc.record({ kind: fc.constant('quorum' as const), k: fc.integer({ min: 1, max: 3 }) }),
);

const member = fc.record({
  /** Earlier members that it depends on. */
  upstreams: fc.subarray([0, 1, 2]),
  group,
  maxReplayCount: fc.constantFrom(undefined, undefined, 1, 0),
  delayMs: fc.constantFrom(undefined, undefined, undefined, 5_000, 50_000),
  deadlineMs: fc.constantFrom<(number | undefined)[]>(undefined, undefined, undefined, undefined, 8_000),
});

const ACTS = [
  'claim',
  'complete',
  'fail',
  'cancel',
  'cancel',
  'replay',
  'hold',
  'block',
  'pause',
  'grant',
  'suspend',
  'signal',
] as const;

const act = fc.oneof(
  { weight: 8, arbitrary: fc.record({ act: fc.constantFrom(...ACTS), at: fc.nat(MEMBERS - 1) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('due' as const, 'seal' as const), at: fc.constant(0) }) },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant('wait' as const), at: fc.constantFrom(1_000, 6_000, 20_000) }),
  },
);

export const worlds = fc.record({
  /** What the last member does with upstreams that it no longer needs. The others let them run. */
  onSatisfied: fc.constantFrom('let_run' as const, 'cancel_remaining' as const),
  members: fc.array(member, { minLength: 1, maxLength: MEMBERS }),
  phase: fc.constantFrom({}, {}, { closed: true }, { building: true }),
  acts: fc.array(act, { maxLength: 10 }),
  cancelled: fc.constantFrom(...Array(12).fill(undefined), 'cancel_all', 'cancel_pending', 'flow_only'),
});
export type FlowWorld = typeof worlds extends fc.Arbitrary<infer World> ? World : never;

export interface Built {
  readonly machine: SpecMachine;
  readonly now: number;
}

/** The machine of a world. */
export function built({ members, phase, onSatisfied, acts, cancelled }: FlowWorld): Built {
  const machine = new SpecMachine({ retentionMs: 86_400_000 }, PARTITION);
  let now = START;
  give(machine, now, creationOf(members, phase, onSatisfied));
  for (const [n, { act: what, at }] of acts.entries()) {
    if (what === 'wait') now += at;
    else give(machine, now, commandOf(machine, what, memberId(at), 200 + 10 * n));
  }
  if (cancelled !== undefined) {
    // The members are not ended yet: the walk of the cancellation has not begun.
    machine.record({ type: 'flow_cancelled', ...cancellation(cancelled, now) } as never);
  }
  return { machine, now };
}

const cancellation = (cancellationPolicy: string, at: number) => ({
  flow: uuid(90),
  at,
  cancelReason: 'r',
  cancellationPolicy,
});

/** Gives a command; whether the machine accepted it, and something happened. */
export function give(machine: SpecMachine, now: number, command: Command | undefined): 'refused' | 'nothing' | 'done' {
  if (command === undefined) return 'nothing';
  const before = machine.partition.log.length;
  const decision = machine.run(parseCommand(command.name, command.args, 'memory'), now);
  if (!decision.ok) return 'refused';
  return machine.partition.log.length > before ? 'done' : 'nothing';
}

function creationOf(members: FlowWorld['members'], phase: object, ofLast: FlowWorld['onSatisfied']): Command {
  const edges = members.flatMap(({ upstreams }, at) =>
    upstreams
      .filter((upstream) => upstream < at)
      .map((upstream) => ({
        edgeId: uuid(100 + 10 * at + upstream),
        upstreamExecutionId: memberId(upstream),
        downstreamExecutionId: memberId(at),
      })),
  );
  const groups = members.flatMap(({ group: policy }, at) => {
    const count = edges.filter((edge) => edge.downstreamExecutionId === memberId(at)).length;
    if (policy.kind === 'all_of' || count === 0) return [];
    const onSatisfied = at === members.length - 1 ? ofLast : 'let_run';
    const fitting = policy.kind === 'quorum' ? { ...policy, k: Math.min(policy.k, count) } : policy;
    return [{ downstreamExecutionId: memberId(at), policy: { ...fitting, onSatisfied } }];
  });
  const graph = {
    members: members.map(({ maxReplayCount, delayMs, deadlineMs }, at) => ({
      executionId: memberId(at),
      laneId: laneOf(memberId(at)),
      executionKind: 'kind',
      delayUntil: delayMs === undefined ? undefined : START + delayMs,
      executionDeadlineAt: deadlineMs === undefined ? undefined : START + deadlineMs,
      policy: maxReplayCount === undefined ? undefined : { maxReplayCount },
    })),
    edges,
    groups,
  };
  return {
    name: 'createFlow',
    args: { flowId: FLOW, flowKind: 'f', namespace: 'n', creatorIdentity: 'c', ...phase, graph },
  };
}

/** A command for a member. `n` is a number that no other command has. */
export function commandOf(
  machine: SpecMachine,
  what: (typeof ACTS)[number] | 'due' | 'seal',
  executionId: string,
  n: number,
): Command | undefined {
  const worker = { workerId: 'w', workerInstanceId: 'w-1' };
  const command = (name: string, args: object): Command => ({ name, args: { executionId, ...args } }) as never;
  switch (what) {
    case 'claim':
      return {
        name: 'claimForWorker',
        args: {
          ...worker,
          ...{ partition: PARTITION, laneId: laneOf(executionId), leaseTtlMs: 15_000 },
          claims: [{ leaseId: uuid(n), attemptId: uuid(n + 1) }],
        },
      };
    case 'complete':
      return command('completeExecution', { source: 'operator_override' });
    case 'fail':
      return command('failExecution', {
        ...{ source: 'operator_override', failureReason: 'r', failureClass: 'permanent' },
      });
    case 'cancel':
      return command('cancelExecution', { source: 'operator_override', reason: 'r' });
    case 'replay':
      return command('replayExecution', {});
    case 'hold':
      return command('holdExecution', {});
    case 'block':
      return command('blockExecutionForAdmission', { blockingReason: 'waiting_for_quota' });
    case 'pause':
      return { name: 'pauseLane', args: { partition: PARTITION, laneId: laneOf(executionId) } };
    case 'grant':
      return command('issueClaimGrant', {
        ...worker,
        ...{ grantId: uuid(n), laneId: laneOf(executionId), grantTtlMs: 3_000 },
      });
    case 'suspend':
      return suspension(machine, executionId, n);
    case 'signal':
      return command('signalExecution', { signalId: uuid(n), signalName: 'go' });
    case 'due':
      return { name: 'applyDue', args: { partition: PARTITION } };
    case 'seal':
      return { name: 'sealFlow', args: { flowId: FLOW } };
  }
}

function suspension(machine: SpecMachine, executionId: string, n: number): Command | undefined {
  const it = machine.partition.state.tables.execution.get(executionId);
  if (it?.situation !== 'running') return undefined;
  const fence = { leaseId: it.currentLeaseId, leaseEpoch: it.currentLeaseEpoch, attemptId: it.currentAttemptId };
  return {
    name: 'suspendExecution',
    args: {
      ...{ executionId, fence, suspensionId: uuid(n), waitpoints: [{ waitpointId: uuid(n + 1), waitpointKey: 'go' }] },
      resumeCondition: { type: 'single', waitpointKey: 'go', matcher: { type: 'wildcard' } },
      resumePolicy: { resumeDelayMs: n % 20 === 0 ? 5_000 : 0 },
    },
  };
}

/**
 * What would make an execution run: `explain` says it, and a search over the commands of the model finds it. For every
 * situation of the machine, and for some at once.
 */
import { expect, test } from 'vitest';
import type { Event } from '../../model/events.js';
import type { ArgsOf, Command, OperationName } from '../../model/machine.js';
import { SITUATION_NAMES, type Situation } from '../../model/execution/situation.js';
import type { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { explain, type UnblockStep } from '../../src/engine/index.js';
import {
  CLASSES_ALONE,
  claimArgs,
  claimed,
  created,
  DELAYED_UNTIL,
  event,
  givenMachine,
  IN_CLASS,
  NOW,
  PARTITION,
  START,
  uuid,
  X,
} from '../model/dsl.js';
import { backendOf, copyOf } from './model-backend.js';

const FLOW = '{fp:0}:00000000-0000-4000-a000-0000000000aa';
const UPSTREAM = '{fp:0}:00000000-0000-4000-a000-0000000000ab';
const SECOND = '{fp:0}:00000000-0000-4000-a000-0000000000ac';

/** Commands that may make it run, each as somebody gives it who wants that. */
const MOVES: { readonly [Name in OperationName]?: ArgsOf<Name> } = {
  claimForWorker: claimArgs({ workerCapabilities: ['gpu'], claims: [{ leaseId: uuid(900), attemptId: uuid(901) }] }),
  applyDue: { partition: PARTITION },
  releaseHold: { executionId: X },
  resumeLane: { partition: PARTITION, laneId: 'lane' },
  resumeExecution: { executionId: X },
  replayExecution: { executionId: X },
  sealFlow: { flowId: FLOW },
  completeExecution: { executionId: UPSTREAM, source: 'operator_override' },
  cancelExecution: { executionId: UPSTREAM, source: 'operator_override', reason: 'r' },
  renewLease: { executionId: X, fence: { leaseId: uuid(2), leaseEpoch: 1, attemptId: uuid(3) } },
  changePriority: { executionId: X, newPriority: 9 },
};

const unblocks = ['waiting_for_budget', 'waiting_for_quota', 'waiting_for_capable_worker', 'paused_by_policy'] as const;

/** What waits in each lane. */
const TAKEN_FROM: Readonly<Record<string, string>> = { lane: X, other: UPSTREAM, third: SECOND };

const claimFrom = (laneId: string, n: number): Command => ({
  name: 'claimForWorker',
  args: claimArgs({ laneId, claims: [{ leaseId: uuid(n), attemptId: uuid(n + 1) }] }),
});

/** Every move, one of each kind for those that name a reason, and those that what it depends on needs. */
const COMMANDS: readonly Command[] = [
  claimFrom('other', 910),
  claimFrom('third', 912),
  { name: 'completeExecution', args: { executionId: SECOND, source: 'operator_override' } },
  { name: 'replayExecution', args: { executionId: UPSTREAM } },
  ...Object.entries(MOVES).map(([name, args]) => ({ name, args }) as Command),
  ...unblocks.map(
    (expectedBlockingReason): Command => ({
      name: 'unblockExecution',
      args: { executionId: X, expectedBlockingReason },
    }),
  ),
];

const isRunning = (machine: SpecMachine, now: number): boolean => {
  const execution = machine.partition.state.tables.execution.get(X);
  return execution?.situation === 'running' && (execution.dueAt ?? 0) > now;
};

interface Found {
  readonly machine: SpecMachine;
  readonly now: number;
  /** In words, as `nameOf` says them. */
  readonly steps: readonly string[];
}

/** The shortest way to make it run, found by trying every command, and waiting for every time that matters. */
function search(start: SpecMachine, times: readonly number[]): readonly string[] | undefined {
  let edge: Found[] = [{ machine: start, now: NOW, steps: [] }];
  for (let depth = 0; depth <= 5; depth++) {
    const next: Found[] = [];
    for (const found of edge) {
      if (isRunning(found.machine, found.now)) return found.steps;
      next.push(...after(found, times));
    }
    edge = next;
  }
  return undefined;
}

function after({ machine, now, steps }: Found, times: readonly number[]): Found[] {
  const waited = times
    .filter((at) => at > now)
    .map((at) => ({ machine, now: at, steps: [...steps, `wait until ${at}`] }));
  const moved = COMMANDS.flatMap((command): Found[] => {
    const tried = copyOf(machine);
    const decision = tried.run(parseCommand(command.name, command.args, 'memory'), now);
    // What changes nothing is no step.
    if (!decision.ok || tried.partition.log.length === machine.partition.log.length) return [];
    return [{ machine: tried, now, steps: [...steps, wordsOf(command)] }];
  });
  return [...moved, ...waited];
}

/** A command, and what it is about where that is an execution or a flow. */
function wordsOf({ name, args }: Command): string {
  if (name === 'claimForWorker') return `${name} ${TAKEN_FROM[args.laneId]}`;
  const { executionId, flowId } = args as { executionId?: string; flowId?: string };
  return `${name} ${executionId ?? flowId ?? ''}`;
}

const nameOf = (step: UnblockStep): string => {
  if (step.kind === 'wait') return `wait until ${step.until}`;
  return step.call === 'applyDue' || step.call === 'resumeLane' ? `${step.call} ` : `${step.call} ${step.of}`;
};

const paused = {
  type: 'lane_paused',
  laneId: 'lane',
  partition: PARTITION,
  at: START,
  requestedBy: 'ann',
  reason: 'why',
};

/** Worlds beside those of the classes: blocks of every reason, and several obstacles at once. */
const MORE: Readonly<Record<string, readonly Event[]>> = {
  'blocked for a quota': [
    created(),
    event('execution_blocked', { blockingReason: 'waiting_for_quota', blockingDetail: '' }),
  ],
  'blocked for a route': [
    created(),
    event('execution_blocked', { blockingReason: 'waiting_for_capable_worker', blockingDetail: '' }),
  ],
  'blocked with its lane': [
    created(),
    event('execution_blocked', { blockingReason: 'paused_by_policy', blockingDetail: '' }),
  ],
  'held and delayed': [
    created({ delayUntil: DELAYED_UNTIL }),
    event('execution_held', { heldBy: 'ann', holdReason: '' }),
  ],
  'held while it ran, and its lease is over': [
    created(),
    claimed({ leaseExpiresAt: NOW }),
    event('execution_held', { heldBy: 'ann', holdReason: '' }),
  ],
  'its delay is over': [created({ delayUntil: NOW - 1 })],
  'its next try waits': [
    created(),
    claimed(),
    event('retry_scheduled', { failureCategory: 'c', failureReason: 'r', delayUntil: DELAYED_UNTIL }),
  ],
  'in a paused lane': [paused as never, created()],
  'held in a paused lane': [paused as never, created(), event('execution_held', { heldBy: 'ann', holdReason: '' })],
  'needs what a worker has': [created({ requiredCapabilities: ['gpu'] })],
};

const runIn = (machine: SpecMachine, command: Command): SpecMachine => {
  expect(machine.run(parseCommand(command.name, command.args, 'memory'), NOW)).toMatchObject({ ok: true });
  return machine;
};

const member = (executionId: string) => ({
  executionId,
  laneId: Object.keys(TAKEN_FROM).find((lane) => TAKEN_FROM[lane] === executionId) as string,
  executionKind: 'kind',
});

const GRANT = { executionId: X, grantId: uuid(902), laneId: 'lane', workerId: 'w', workerInstanceId: 'w-1' };

/** A flow in which one waits for another. */
const inFlow = (graph: 'alone' | 'after another', phase: object): Command => {
  const isAlone = graph === 'alone';
  const edge = { edgeId: uuid(903), upstreamExecutionId: UPSTREAM, downstreamExecutionId: X };
  const args = {
    ...{ flowId: FLOW, flowKind: 'f', namespace: 'n', creatorIdentity: 'c', ...phase },
    graph: { members: isAlone ? [member(X)] : [member(UPSTREAM), member(X)], edges: isAlone ? [] : [edge], groups: [] },
  };
  return { name: 'createFlow', args };
};

/** A flow in which one waits for the first of two. */
const ONE_OF_TWO: Command = {
  name: 'createFlow',
  args: {
    ...{ flowId: FLOW, flowKind: 'f', namespace: 'n', creatorIdentity: 'c' },
    graph: {
      members: [member(UPSTREAM), member(SECOND), member(X)],
      edges: [UPSTREAM, SECOND].map((upstreamExecutionId, at) => {
        return { edgeId: uuid(903 + at), upstreamExecutionId, downstreamExecutionId: X };
      }),
      groups: [{ downstreamExecutionId: X, policy: { kind: 'any_of', onSatisfied: 'let_run' } }],
    },
  },
};

/** What only commands make. */
const MADE: Readonly<Record<string, () => SpecMachine>> = {
  'waits for what it depends on': () => runIn(givenMachine(), inFlow('after another', { closed: true })),
  'its flow is still being built': () => runIn(givenMachine(), inFlow('alone', { building: true })),
  'waits for another, and its flow is still being built': () =>
    runIn(givenMachine(), inFlow('after another', { building: true })),
  'waits for one of two, of which the first is held': () =>
    runIn(runIn(givenMachine(), ONE_OF_TWO), { name: 'holdExecution', args: { executionId: UPSTREAM } }),
  granted: () => runIn(givenMachine(created()), { name: 'issueClaimGrant', args: { ...GRANT, grantTtlMs: 5_000 } }),
  'waits after it was resumed': () =>
    runIn(givenMachine(...IN_CLASS.SW), { name: 'resumeExecution', args: { executionId: X, resumeDelayMs: 1_000 } }),
  'its skipped downstream': () =>
    runIn(MADE['waits for what it depends on']?.() as SpecMachine, {
      name: 'cancelExecution',
      args: { executionId: UPSTREAM, source: 'operator_override', reason: 'r' },
    }),
};

const WORLDS: readonly (readonly [string, () => SpecMachine])[] = [
  ...CLASSES_ALONE.filter((name) => name !== 'none').map(
    (name) => [name, () => givenMachine(...IN_CLASS[name])] as const,
  ),
  ...Object.entries(MORE).map(([name, events]) => [name, () => givenMachine(...events)] as const),
  ...Object.entries(MADE),
];

const situationIn = (machine: SpecMachine): Situation | undefined =>
  machine.partition.state.tables.execution.get(X)?.situation;

/** Times at which something becomes due for it. */
function timesOf(machine: SpecMachine): number[] {
  const { dueAt, grantExpiresAt } = machine.partition.state.tables.execution.get(X) ?? {};
  return [dueAt, grantExpiresAt === undefined ? undefined : grantExpiresAt + 1].filter((at) => at !== undefined);
}

test.each(WORLDS)('%s', async (_, make) => {
  const { unblock, sentence, because } = await explain(backendOf(make(), NOW), X);
  expect(sentence).not.toBe('');
  if (because === 'nothing') expect(unblock).toEqual([]);
  // As short as the shortest way, and one that works.
  const shortest = search(make(), timesOf(make()));
  expect(unblock?.length).toBe(shortest?.length);
  if (unblock !== undefined) expect(follows(make(), unblock)).toBe(true);
});

/** Whether these steps make it run. */
function follows(machine: SpecMachine, steps: readonly UnblockStep[]): boolean {
  let edge: Found[] = [{ machine, now: NOW, steps: [] }];
  for (const step of steps) {
    const times = step.kind === 'wait' ? [step.until] : [];
    edge = edge.flatMap((found) => after(found, times).filter((next) => next.steps.at(-1) === nameOf(step)));
  }
  return edge.some(({ machine: end, now }) => isRunning(end, now));
}

test('every situation of the machine is explained here', () => {
  expect(new Set(WORLDS.map(([, make]) => situationIn(make())))).toEqual(new Set(SITUATION_NAMES));
});

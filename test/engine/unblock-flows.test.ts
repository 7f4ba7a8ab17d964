/**
 * The steps of `explain` in generated flows: taken in order, none is refused, and the execution runs. Where it names no
 * steps, a search over the commands of the model finds none.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { present } from '../../model/core/present.js';
import type { Command } from '../../model/machine.js';
import type { SpecMachine } from '../../model/specification/machine.js';
import { explain, type UnblockStep } from '../../src/engine/index.js';
import { PARTITION, uuid } from '../model/dsl.js';
import { built, commandOf, FLOW, give, laneOf, memberId, worlds, type Built, type FlowWorld } from './flow-worlds.js';
import { backendOf, copyOf } from './model-backend.js';

const RUNS = Number(process.env['UNBLOCK_RUNS'] ?? 80);
const MAX_PASSES = 50;
/** States that a search looks at. */
const MAX_STATES = 60;

const factsOf = (machine: SpecMachine, id: string) => machine.partition.state.tables.execution.get(id);

const isRunning = (machine: SpecMachine, id: string, now: number): boolean => {
  const execution = factsOf(machine, id);
  return execution?.situation === 'running' && (execution.dueAt ?? 0) > now;
};

/** Applies what is due until nothing is. */
function applyDue(machine: SpecMachine, now: number): string {
  for (let pass = 0; pass < MAX_PASSES; pass++)
    if (give(machine, now, { name: 'applyDue', args: { partition: PARTITION } }) !== 'done') return 'done';
  return 'it never ends';
}

const PLAIN: Readonly<Record<string, 'claim' | 'complete' | 'replay' | 'signal'>> = {
  claimForWorker: 'claim',
  completeExecution: 'complete',
  replayExecution: 'replay',
  signalExecution: 'signal',
};

function commandFor(machine: SpecMachine, { call, of }: UnblockStep & { kind: 'call' }, n: number): Command {
  const plain = PLAIN[call];
  if (plain !== undefined) return commandOf(machine, plain, of, n) as Command;
  if (call === 'sealFlow') return { name: call, args: { flowId: of } };
  if (call === 'resumeLane') return { name: call, args: { partition: PARTITION, laneId: of } };
  return { name: call, args: { executionId: of } } as Command;
}

/** Takes the steps; says at which one the machine refused or nothing happened. */
function take({ machine, now }: Built, steps: readonly UnblockStep[], id: string): string {
  let at = now;
  for (const [n, step] of steps.entries()) {
    if (step.kind === 'wait') {
      if (step.until <= at) return `step ${n} waits for a time that is over`;
      at = step.until;
    } else {
      const done =
        step.call === 'applyDue' ? applyDue(machine, at) : give(machine, at, commandFor(machine, step, 600 + 2 * n));
      if (done !== 'done') return `step ${n}, ${step.call} of ${step.of}: ${done}`;
    }
  }
  return isRunning(machine, id, at) ? 'it runs' : `it does not run: ${factsOf(machine, id)?.situation}`;
}

const MOVES = ['claim', 'complete', 'replay', 'signal', 'cancel'] as const;
const CALLS = ['releaseHold', 'unblockExecution', 'resumeExecution'] as const;

/** A copy at a time at which all due work has been applied, as a timer loop does. */
function copyAt({ machine }: Built, now: number): Built {
  const copy = copyOf(machine);
  applyDue(copy, now);
  return { machine: copy, now };
}

/** Whether some commands and times make it run, if due work is applied in time. */
function canRun(start: Built, id: string): boolean {
  const seen = new Set<string>();
  let n = 1_000;
  let edge = [copyAt(start, start.now)];
  while (edge.length > 0 && seen.size < MAX_STATES) {
    const next: Built[] = [];
    for (const { machine, now } of edge) {
      if (isRunning(machine, id, now)) return true;
      // No member depends on a later one.
      const ids = [...machine.partition.state.tables.execution.keys()].filter((of) => of <= id);
      const commands: (Command | undefined)[] = [
        { name: 'sealFlow', args: { flowId: FLOW } },
        ...ids.flatMap((of) => [
          ...MOVES.map((move) => commandOf(machine, move, of, (n += 2))),
          ...CALLS.map((name) => ({ name, args: { executionId: of } }) as Command),
          { name: 'resumeLane', args: { partition: PARTITION, laneId: laneOf(of) } } as const,
        ]),
      ];
      const moved = commands.flatMap((command) => {
        const tried = copyOf(machine);
        return give(tried, now, command) === 'done' ? [{ machine: tried, now }] : [];
      });
      const waited = [10_000, 60_000].map((ms) => copyAt({ machine, now }, now + ms));
      for (const reached of [...moved, ...waited]) {
        const state = stateOf(reached);
        if (seen.has(state)) continue;
        seen.add(state);
        next.push(reached);
      }
    }
    edge = next;
  }
  return false;
}

/** What distinguishes machines for a search. */
function stateOf({ machine, now }: Built): string {
  const { tables } = machine.partition.state;
  const members = Array.from(tables.execution.values(), (it) => [
    ...[it.situation, it.groupState, it.heldAt !== undefined, it.grantExpiresAt, it.replayCount],
    ...[it.succeededCount, it.failedCount, it.skippedCount, (it.dueAt ?? Infinity) <= now, it.executionDeadlineAt],
  ]);
  return JSON.stringify([
    members,
    [...tables.lane.values()],
    [...tables.flow.values()].map((it) => it.isBuilding),
    now,
  ]);
}

test('the steps of an explanation unblock every member of a generated flow', async () => {
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const last = world.members.length - 1;
      // Members that another group cancels once it is satisfied are not judged: explanations do not foresee that.
      const judged = world.onSatisfied === 'cancel_remaining' ? [last] : [...world.members.keys()];
      for (const id of judged.map(memberId)) {
        const before = built(world);
        const { unblock, sentence, because } = await explain(backendOf(before.machine, before.now), id);
        const told = `${because}: ${sentence} ${JSON.stringify(unblock)}`;
        expect(sentence).not.toBe('');
        if (unblock === undefined) expect([told, canRun(before, id)]).toEqual([told, false]);
        else expect([told, take(before, unblock, id)]).toEqual([told, 'it runs']);
      }
    }),
    { numRuns: RUNS, endOnFailure: true, seed: Number(process.env['UNBLOCK_SEED'] ?? 1) },
  );
});

type Member = FlowWorld['members'][number];
const ANY = { kind: 'any_of' } as const;
const member = (more: Partial<Member> = {}): Member => ({
  ...{ upstreams: [], group: { kind: 'all_of' }, maxReplayCount: undefined, delayMs: undefined, deadlineMs: undefined },
  ...more,
});
/** Expires before its delay is over. */
const overdue = (deadlineMs: number, more: Partial<Member> = {}): Member =>
  member({ delayMs: 50_000, deadlineMs, ...more });

/** Flows whose last member is skipped, because others end before they run, unless it runs before. */
const ENDING: readonly (readonly [string, readonly Member[]])[] = [
  ['the only one', [overdue(8_000), member({ upstreams: [0] })]],
  ['one of two that it needs', [overdue(8_000), member(), member({ upstreams: [0, 1] })]],
  [
    'both of which it needs one, at different times',
    [overdue(8_000), overdue(20_000), member({ upstreams: [0, 1], group: ANY })],
  ],
  [
    'both of which it needs one, and the first cannot be replayed',
    [overdue(8_000, { maxReplayCount: 0 }), overdue(8_000), member({ upstreams: [0, 1], group: ANY })],
  ],
  [
    'both of which it needs one, and the one that ends last cannot be replayed',
    [overdue(20_000, { maxReplayCount: 0 }), overdue(8_000), member({ upstreams: [0, 1], group: ANY })],
  ],
  ['one of two of which it needs one', [overdue(8_000), member(), member({ upstreams: [0, 1], group: ANY })]],
];

test.each(ENDING)('a member runs although what it depends on ends first: %s', async (_, members) => {
  const before = built({ onSatisfied: 'let_run', members: [...members], phase: {}, acts: [], cancelled: undefined });
  const id = memberId(members.length - 1);
  const { unblock } = await explain(backendOf(before.machine, before.now), id);
  expect([unblock, unblock && take(before, unblock, id)]).toEqual([unblock, 'it runs']);
});

test('due work is applied once for all that is due at one time', async () => {
  const members = [member({ delayMs: 5_000 }), member({ delayMs: 5_000 }), member({ upstreams: [0, 1] })];
  const { machine, now } = built({ onSatisfied: 'let_run', members, phase: {}, acts: [], cancelled: undefined });
  const { unblock = [] } = await explain(backendOf(machine, now), memberId(2));
  const runs = ['claimForWorker', 'completeExecution'];
  expect(unblock.map((step) => (step.kind === 'wait' ? 'wait' : step.call))).toEqual([
    ...['wait', 'applyDue', ...runs, ...runs, 'claimForWorker'],
  ]);
});

test('a parent continues without a child that expires before its delay is over', async () => {
  const before = built({ onSatisfied: 'let_run', members: [member()], phase: {}, acts: [], cancelled: undefined });
  const { machine, now } = before;
  const id = memberId(0);
  expect(give(machine, now, commandOf(machine, 'claim', id, 200))).toBe('done');
  const it = present(factsOf(machine, id));
  const fence = { leaseId: it.currentLeaseId, leaseEpoch: it.currentLeaseEpoch, attemptId: it.currentAttemptId };
  const [delayUntil, executionDeadlineAt] = [now + 50_000, now + 8_000];
  const child = { executionId: memberId(1), laneId: 'l', executionKind: 'k', edgeId: uuid(300) };
  const children = [{ ...child, delayUntil, executionDeadlineAt }];
  for (const [name, args] of [
    ['spawnChildren', { executionId: id, fence, flowId: FLOW, children }],
    ['moveToWaitingChildren', { executionId: id, fence }],
  ] as const)
    expect(give(machine, now, { name, args } as Command)).toBe('done');
  const { unblock } = await explain(backendOf(machine, now), id);
  expect([unblock, unblock && take(before, unblock, id)]).toEqual([unblock, 'it runs']);
});

/**
 * Moves of operators and readers in a small world, explored exhaustively: a lane is paused, drained and resumed while
 * work is created, claimed and ended; a reader commits and is forgotten; commands name entries that are not in
 * quarantine. In every order up to a depth every rule holds, and every answer is reached.
 */
import { expect, test } from 'vitest';
import { partitionKeyOf } from '../../model/ids.js';
import type { AnyDecision, Command } from '../../model/machine.js';
import { encodeCursor } from '../../model/partition/cursor.js';
import { violations } from '../../model/specification/invariants.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';

const PARTITION = partitionKeyOf(0);
const START = 1_700_000_000_000;
const DEPTH = 7;
const X = `${PARTITION}:00000000-0000-4000-a000-000000000001`;
const LANE = { partition: PARTITION, laneId: 'lane', requestedBy: 'ann' };
const READER = { partition: PARTITION, readerId: 'r' };

/** A move: a command, which may depend on the state. */
type Move = readonly [words: string, command: (machine: SpecMachine) => Command];

const endOf = ({ partition }: SpecMachine): string => encodeCursor(partition.header);

const MOVES: readonly Move[] = [
  [
    'create',
    () => ({
      name: 'createExecution',
      args: { executionId: X, namespace: 'n', laneId: 'lane', executionKind: 'k', creatorIdentity: 'c' },
    }),
  ],
  [
    'claim',
    () => ({
      name: 'claimForWorker',
      args: {
        ...{ partition: PARTITION, laneId: 'lane', workerId: 'w', workerInstanceId: 'w-1' },
        claims: [{ leaseId: X.slice(-36), attemptId: X.slice(-36) }],
      },
    }),
  ],
  ['cancel', () => ({ name: 'cancelExecution', args: { executionId: X, reason: 'r', source: 'operator_override' } })],
  ['replay', () => ({ name: 'replayExecution', args: { executionId: X } })],
  ['pause', () => ({ name: 'pauseLane', args: LANE })],
  ['drain', () => ({ name: 'drainLane', args: LANE })],
  ['resume', () => ({ name: 'resumeLane', args: LANE })],
  ['commit', (machine) => ({ name: 'commitReader', args: { ...READER, position: endOf(machine) } })],
  ['forget', () => ({ name: 'forgetReader', args: READER })],
  ['retry', () => ({ name: 'retryQuarantined', args: { partition: PARTITION, name: `execution:${X}` } })],
  ['drop', () => ({ name: 'dropQuarantined', args: { partition: PARTITION, name: `execution:${X}` } })],
];

interface World {
  readonly machine: SpecMachine;
  readonly last: AnyDecision | undefined;
  readonly name: string;
}

function worldAfter(path: readonly Move[]): World {
  const machine = new SpecMachine({ retentionMs: 0 }, PARTITION);
  let last: AnyDecision | undefined;
  let name = '';
  for (const [, command] of path) {
    const made = command(machine);
    name = made.name;
    last = machine.run(parseCommand(made.name, made.args, 'memory'), START);
  }
  return { machine, last, name };
}

/** The future depends only on the lane, the execution, and how far behind the reader is. */
function stateOf({ machine }: World): string {
  const { execution, lane, reader } = machine.partition.state.tables;
  const it = execution.get(X);
  const isAtEnd = [...reader.values()].map(({ sequence }) => sequence === machine.partition.header.sequence);
  return JSON.stringify([it?.situation, it?.nextAttempt, it?.replayCount, lane.get('lane')?.laneState, isAtEnd]);
}

test("no order of operators' and readers' commands breaks a rule, and every answer is reached", () => {
  const reached = new Set<string>();
  const known = new Set([stateOf(worldAfter([]))]);
  let frontier: (readonly Move[])[] = [[]];
  for (let depth = 0; depth < DEPTH; depth++) {
    const next: (readonly Move[])[] = [];
    for (const path of frontier)
      for (const move of MOVES) {
        const moves = [...path, move];
        const world = worldAfter(moves);
        reached.add(`${world.name} ${world.last?.ok === true ? world.last.outcome.kind : world.last?.code}`);
        const id = stateOf(world);
        if (known.has(id)) continue;
        known.add(id);
        const { state, log } = world.machine.partition;
        expect(violations(state, log, START), moves.map(([words]) => words).join(', ')).toEqual([]);
        next.push(moves);
      }
    frontier = next;
  }
  expect(known.size).toBeGreaterThan(50);
  expect([...reached].sort()).toEqual([
    'cancelExecution cancelled',
    'cancelExecution execution_not_active',
    'cancelExecution execution_not_found',
    'claimForWorker claimed',
    'claimForWorker no_work',
    'commitReader committed',
    'createExecution created',
    'createExecution duplicate',
    'createExecution lane_draining',
    'drainLane already_satisfied',
    'drainLane lane_drained',
    'dropQuarantined already_satisfied',
    'forgetReader forgotten',
    'forgetReader unknown',
    'pauseLane already_satisfied',
    'pauseLane lane_paused',
    'replayExecution execution_not_found',
    'replayExecution execution_not_terminal',
    'replayExecution replayed',
    'resumeLane already_satisfied',
    'resumeLane lane_resumed',
    'retryQuarantined already_satisfied',
  ]);
});

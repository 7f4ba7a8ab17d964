/**
 * Registered workers in a small world, explored exhaustively: two instances that register for one of two pools, send
 * heartbeats, are marked dead and lapse, in every order up to a depth. Every rule always holds, and every answer is
 * reached.
 */
import { expect, test } from 'vitest';
import type { EventType } from '../../model/events.js';
import { partitionIn } from '../../model/families.js';
import type { AnyDecision, Command } from '../../model/machine.js';
import { violations } from '../../model/specification/invariants.js';
import { SpecMachine } from '../../model/specification/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';

const NAMESPACE = 'n';
const PARTITION = partitionIn('worker', NAMESPACE);
const START = 1_700_000_000_000;
const TTL_MS = 1_000;
const DEPTH = 6;

/** A command, or time that passes, ms. */
type Move = Command | number;

const MOVES: readonly Move[] = [
  ...['w-1', 'w-2'].flatMap((workerInstanceId): Move[] => {
    const worker = { namespace: NAMESPACE, workerInstanceId };
    const offer = { ...worker, livenessTtlMs: TTL_MS, lanes: ['lane'] };
    return [
      { name: 'registerWorker', args: { ...offer, workerId: 'a' } },
      { name: 'registerWorker', args: { ...offer, workerId: 'b' } },
      { name: 'heartbeatWorker', args: worker },
      { name: 'markWorkerDead', args: worker },
    ];
  }),
  { name: 'applyDue', args: { partition: PARTITION } },
  1,
  TTL_MS - 1,
];

interface World {
  readonly machine: SpecMachine;
  readonly now: number;
  readonly last: AnyDecision | undefined;
}

function worldAfter(moves: readonly Move[]): World {
  const machine = new SpecMachine({ retentionMs: 0 }, PARTITION);
  let now = START;
  let last: AnyDecision | undefined;
  for (const move of moves) {
    if (typeof move === 'number') now += move;
    else last = machine.run(parseCommand(move.name, move.args, 'memory'), now);
  }
  return { machine, now, last };
}

/** The future depends only on the records, with times relative to now. */
function stateOf({ machine, now }: World): string {
  const workers = [...machine.partition.state.tables.worker.values()].map((worker) => [
    ...[worker.workerInstanceId, worker.workerId, now - worker.lastHeartbeatAt, now - worker.registeredAt],
  ]);
  return JSON.stringify(workers.sort());
}

test('no order of registrations, heartbeats, ends and lapses breaks a rule, and every answer is reached', () => {
  const reached = new Set<string>();
  const happened = new Set<EventType>();
  const known = new Set([stateOf(worldAfter([]))]);
  let frontier: Move[][] = [[]];
  for (let depth = 0; depth < DEPTH; depth++) {
    const next: Move[][] = [];
    for (const path of frontier)
      for (const move of MOVES) {
        const moves = [...path, move];
        const world = worldAfter(moves);
        const { state, log } = world.machine.partition;
        if (typeof move !== 'number' && world.last !== undefined)
          reached.add(`${move.name} ${world.last.ok ? world.last.outcome.kind : world.last.code}`);
        for (const { event } of log) happened.add(event.type);
        const id = stateOf(world);
        if (known.has(id)) continue;
        known.add(id);
        expect(violations(state, log, world.now), JSON.stringify(moves)).toEqual([]);
        next.push(moves);
      }
    frontier = next;
  }
  expect(known.size).toBeGreaterThan(100);
  expect([...reached].sort()).toEqual([
    'applyDue applied',
    'heartbeatWorker not_registered',
    'heartbeatWorker refreshed',
    'markWorkerDead marked',
    'markWorkerDead not_registered',
    'registerWorker invalid_input',
    'registerWorker refreshed',
    'registerWorker registered',
  ]);
  expect([...happened].sort()).toEqual(['worker_heard', 'worker_lapsed', 'worker_marked_dead', 'worker_registered']);
});

/**
 * Small worlds of one flow, explored exhaustively to a depth. A call handles a single unit of an ending's consequences,
 * so that every cascade is interrupted everywhere, and its rest remains as walks while workers, operators and the
 * engine continue. Every invariant is checked in every state. From every state, once the engine has applied what is
 * due, the consequences of every decision have happened; and once an honest worker works, everything ends.
 */
import { execute } from '../../model/execute.js';
import type { Event } from '../../model/events.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isRunnable, isTerminal } from '../../model/execution/situation.js';
import { parseCommand } from '../../src/backend/boundary.js';
import { violations } from '../../model/specification/invariants.js';
import { SpecMachine } from '../../model/specification/machine.js';
import type { AnyDecision, Command } from '../../model/machine.js';
import type { Partition } from '../../model/state.js';
import { claim, due, FLOW, flowMoves, type FlowWorld, type Sight } from './flow-moves.js';
import { PARTITION, START_AT } from './node.js';

const SETTINGS = { retentionMs: 0 };
/** Rounds within which everything must have ended. */
const MAX_ROUNDS = 60;

interface State {
  readonly partition: Partition;
  readonly minted: number;
  readonly path: readonly string[];
}

/** Runs a command in a world of its own. Tests can replace it with a broken one. */
export type Carrier = (machine: SpecMachine, command: Command) => AnyDecision;

/** The real engine, except for the number of units per call. */
export const honest: Carrier = (machine, command) =>
  execute(machine, parseCommand(command.name, command.args, 'memory'), { now: START_AT, settings: SETTINGS }, 1);

const copyOf = (partition: Partition): Partition => ({
  ...partition,
  bytes: { input: new Map(), result: new Map(), secret: new Map() },
  streams: new Map(partition.streams),
  log: [...partition.log],
  header: { ...partition.header },
});

/** A second world with the same beginning. */
function machineAt(partition: Partition): SpecMachine {
  const machine = new SpecMachine(SETTINGS, PARTITION);
  machine.partition = copyOf(partition);
  return machine;
}

const executionsOf = ({ state }: Partition): readonly ReadonlyExecution[] => [...state.tables.execution.values()];

function sightOf({ partition, minted }: State): Sight {
  const flow = [...partition.state.tables.flow.values()][0];
  return {
    executions: executionsOf(partition),
    minted,
    isThere: flow !== undefined,
    isBuilding: flow?.isBuilding ?? false,
    isClosed: flow?.isClosed ?? false,
    isCancelled: flow?.flowState === 'cancelled',
    edges: flow?.edgeCount ?? 0,
  };
}

/** What distinguishes two states: everything except owners, ids and times. */
function keyOf({ state }: Partition): string {
  const { execution, flow, walk } = state.tables;
  const rows = [...execution.values(), ...flow.values(), ...walk.values()];
  return JSON.stringify(rows, (name, value: unknown) => {
    if (/At$|LeaseId$|AttemptId$|^grant/.test(name)) return value === undefined ? 0 : 1;
    return name === 'currentLeaseEpoch' || name === 'totalAttemptCount' || name === 'graphRevision' ? undefined : value;
  });
}

/** What must have happened when the engine has nothing left to do. */
function undone(partition: Partition): string | undefined {
  const flow = [...partition.state.tables.flow.values()][0];
  if (flow === undefined) return undefined;
  const isOver = flow.flowState === 'cancelled';
  for (const it of executionsOf(partition)) {
    const what = `${it.executionId.slice(-2)} is ${it.situation}`;
    const waits = it.situation === 'blocked_dependencies';
    if (it.groupState === 'satisfied' && waits) return `a satisfied group lets its execution go on: ${what}`;
    if (it.groupState === 'impossible' && (it.isParent ? waits : !isTerminal(it.situation)))
      return `an impossible group skips its execution, or lets a parent go on: ${what}`;
    if (isOver && flow.cancellationPolicy === 'cancel_all' && !isTerminal(it.situation))
      return `a flow that was cancelled whole ends every member: ${what}`;
    if (isOver && flow.cancellationPolicy === 'cancel_pending' && isRunnable(it.situation))
      return `nothing waits in a flow that was cancelled: ${what}`;
  }
  return partition.state.tables.walk.size > 0 ? 'walks come to their end' : undefined;
}

/** Why a state does not reach an end, if so. States that lead to a settled one are settled with it. */
function unsettled({ partition, minted }: State, carry: Carrier, settled: Set<string>): string | undefined {
  const machine = machineAt(partition);
  const passed: string[] = [];
  const isKnown = (): boolean => {
    const key = keyOf(machine.partition);
    passed.push(key);
    return settled.has(key);
  };
  const run = (command: Command): AnyDecision => carry(machine, command);
  const length = (): number => machine.partition.log.length;
  for (let round = 0, ids = minted; round < MAX_ROUNDS; round++, ids += 100) {
    for (let before = -1; before !== length(); ) {
      before = length();
      run(due(100));
    }
    const why = undone(machine.partition);
    if (why !== undefined) return why;
    const open = executionsOf(machine.partition).filter(({ situation }) => !isTerminal(situation));
    if (isKnown() || open.length === 0) {
      for (const key of passed) settled.add(key);
      return undefined;
    }
    const before = length();
    // Flows under construction are sealed in the end, without further members.
    run({ name: 'sealFlow', args: { flowId: FLOW } });
    run({ name: 'closeFlow', args: { flowId: FLOW } });
    run(claim(ids, 10));
    for (const { executionId, situation } of executionsOf(machine.partition))
      if (situation === 'running')
        run({ name: 'completeExecution', args: { executionId, source: 'operator_override' } });
    if (length() === before) return `nobody waits for ever: ${open.map(({ situation }) => situation).join(', ')}`;
  }
  return `not over after ${MAX_ROUNDS} rounds`;
}

export interface FlowExploration {
  readonly states: number;
  /** Reached events. */
  readonly reached: ReadonlySet<Event['type']>;
  /** Violations, each with a shortest path. */
  readonly broken: { readonly property: string; readonly path: readonly string[] } | undefined;
}

/** Explores a world to a depth, breadth first. */
export function exploreFlow(world: FlowWorld, depth = world.depth, carry: Carrier = honest): FlowExploration {
  const seen = new Set<string>();
  const settled = new Set<string>();
  const reached = new Set<Event['type']>();
  let frontier: State[] = [{ partition: new SpecMachine(SETTINGS, PARTITION).partition, minted: 0, path: [] }];
  for (let level = 0; level < depth; level++) {
    const next: State[] = [];
    for (const state of frontier) {
      for (const [words, command] of flowMoves(world, sightOf(state))) {
        const machine = machineAt(state.partition);
        const decision = carry(machine, command);
        const { partition } = machine;
        if (!decision.ok || partition.log.length === state.partition.log.length) continue;
        for (const { event } of partition.log.slice(state.partition.log.length))
          reached.add(event.type as Event['type']);
        const after = { partition, minted: state.minted + 2, path: [...state.path, words] };
        const key = keyOf(partition);
        if (seen.has(key)) continue;
        seen.add(key);
        const [fault] = violations(partition.state, partition.log, START_AT);
        const property = fault?.name ?? unsettled(after, carry, settled);
        if (property !== undefined) return { states: seen.size, reached, broken: { property, path: after.path } };
        next.push(after);
      }
    }
    frontier = next;
  }
  return { states: seen.size, reached, broken: undefined };
}

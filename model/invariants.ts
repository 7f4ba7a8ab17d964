/**
 * Every invariant as a named predicate over the state of a partition, its log and the time. Predicates over one
 * execution are asked of each; rules over the log are judged entry by entry while it is replayed; and what the log
 * folds to must be the state. Source: the sections named Invariants of spec 01, 02, 04 and 05.
 */
import type { ExecutionInvariant, Invariant, World } from './core/invariant.js';
import type { LoggedEvent } from './events.js';
import type { ReadonlyExecution } from './execution/execution.js';
import { executionInvariants, executionRules } from './execution/invariants.js';
import { SITUATIONS } from './execution/situation.js';
import { leaseInvariants, leaseRules } from './lease/invariants.js';
import { partitionOfExecution } from './ids.js';
import { replay, type LogRule } from './replay.js';
import { scheduleInvariants, scheduleRules } from './schedule/invariants.js';
import type { PartitionState } from './state.js';

const logRules: readonly LogRule[] = [
  {
    name: 'positions in the log are dense',
    needsWhole: false,
    holds: ({ entry, previous }) => previous === undefined || entry.sequence === previous.sequence + 1,
  },
  {
    name: 'time does not go back in the log',
    needsWhole: false,
    holds: ({ event, previous }) => previous === undefined || event.at >= previous.event.at,
  },
];

/** Every rule over the log. */
export const LOG_RULES: readonly LogRule[] = [...logRules, ...executionRules, ...leaseRules, ...scheduleRules];

function asked({ name, holds }: ExecutionInvariant): Invariant {
  return {
    name,
    check(world) {
      for (const execution of world.state.executions.values()) {
        if (!holds(execution, world))
          return `${execution.executionId} is ${execution.situation}: ${JSON.stringify(execution)}`;
      }
      return undefined;
    },
  };
}

/** The facts of two executions that differ, by name. */
function differences(a: ReadonlyExecution, b: ReadonlyExecution): string[] {
  const left = a as unknown as Record<string, unknown>;
  const right = b as unknown as Record<string, unknown>;
  return Object.keys(left).filter((key) => {
    const [x, y] = [left[key], right[key]];
    return x !== y && (typeof x !== 'object' || typeof y !== 'object' || JSON.stringify(x) !== JSON.stringify(y));
  });
}

const partitionInvariants: readonly Invariant[] = [
  { name: 'the log can be folded', check: ({ replay: { unfoldable } }) => unfoldable },
  {
    name: 'nothing in the log is later than now',
    check({ log, now }) {
      const last = log.at(-1);
      return last === undefined || last.event.at <= now
        ? undefined
        : `entry ${last.sequence} is at ${last.event.at}, now is ${now}`;
    },
  },
  {
    name: 'folding the log gives the executions',
    check({ state, replay: { state: folded, whole, unfoldable } }) {
      if (!whole || unfoldable !== undefined) return undefined;
      if (state.executions.size !== folded.executions.size)
        return `${state.executions.size} executions, the log has ${folded.executions.size}`;
      for (const [id, expected] of folded.executions) {
        const execution = state.executions.get(id);
        if (execution === undefined) return `${id} is missing`;
        const names = differences(expected, execution);
        if (names.length > 0) return `${id} differs from its log in ${names.join(', ')}`;
      }
      return undefined;
    },
  },
  {
    name: 'folding the log gives the lanes and the live idempotency keys',
    check({ state, now, replay: { state: folded, whole, unfoldable } }) {
      if (!whole || unfoldable !== undefined) return undefined;
      for (const lane of folded.lanes) if (!state.lanes.has(lane)) return `lane ${lane} is missing`;
      if (state.lanes.size !== folded.lanes.size) return 'there is a lane that never had work';
      for (const [id, { executionId, expiresAt }] of folded.idempotency) {
        const entry = state.idempotency.get(id);
        if (expiresAt > now && (entry?.executionId !== executionId || entry.expiresAt !== expiresAt))
          return `key ${id} is missing or differs`;
      }
      for (const [id, { expiresAt }] of state.idempotency)
        if (expiresAt > now && !folded.idempotency.has(id)) return `key ${id} was never used`;
      return undefined;
    },
  },
  {
    name: 'executions are filed under their ids, all of one partition',
    check({ state }) {
      let partition: string | undefined;
      for (const [id, execution] of state.executions) {
        partition ??= partitionOfExecution(id);
        if (id !== execution.executionId || partitionOfExecution(id) !== partition)
          return `${execution.executionId} under ${id}`;
      }
      return undefined;
    },
  },
];

const knownSituations = asked({
  name: 'the situation is one of the table',
  holds: ({ situation }) => Object.hasOwn(SITUATIONS, situation),
});

/** Every invariant. */
export const INVARIANTS: readonly Invariant[] = [
  knownSituations,
  ...partitionInvariants,
  ...[...executionInvariants, ...leaseInvariants, ...scheduleInvariants].map((invariant) =>
    'holds' in invariant ? asked(invariant) : invariant,
  ),
  ...LOG_RULES.map(({ name }) => ({ name, check: (world: World) => world.replay.faults.get(name) })),
];

export interface Violation {
  readonly name: string;
  readonly because: string;
}

/**
 * The invariants that do not hold. Costs one look at every execution and at every log entry that was not in the same
 * array at an earlier call.
 */
export function violations(state: PartitionState, log: readonly LoggedEvent[], now: number): Violation[] {
  const world: World = { state, log, now, replay: replay(log, LOG_RULES) };
  // What is said of a situation means nothing where there is no such situation.
  const unknown = knownSituations.check(world);
  if (unknown !== undefined) return [{ name: knownSituations.name, because: unknown }];
  return INVARIANTS.flatMap(({ name, check }) => {
    const because = check(world);
    return because === undefined ? [] : [{ name, because }];
  });
}

/**
 * Every invariant as a named predicate over the state of a partition, its log and the time. Predicates over one
 * execution are asked of each; rules over the log are judged entry by entry while it is replayed; and what the log
 * folds to must be the state. Source: the sections named Invariants of the specification.
 */
import type { ExecutionInvariant, Invariant, World } from './invariant.js';
import type { LoggedEvent } from '../events.js';
import { budgetInvariants } from '../budget/invariants.js';
import { executionInvariants } from '../execution/invariants.js';
import { executionRules } from '../execution/log-rules.js';
import { SITUATIONS } from '../execution/situation.js';
import { flowInvariants, flowRules } from '../flow/invariants.js';
import { grantInvariants, grantRules } from '../grant/invariants.js';
import { leaseInvariants, leaseRules } from '../lease/invariants.js';
import { partitionOfExecution } from '../ids.js';
import { replay, type EntryRule, type Rules } from './replay.js';
import { transitionTime } from '../execute.js';
import { MAX_CLOCK_LEAD_MS } from '../limits.js';
import { quotaInvariants } from '../quota/invariants.js';
import { meteringInvariants, meteringRules } from '../metering/invariants.js';
import { readerInvariants } from '../reader/invariants.js';
import { scheduleInvariants, scheduleRules } from '../schedule/invariants.js';
import { signingInvariants } from '../signing/invariants.js';
import { suspensionInvariants, suspensionRules } from '../suspension/invariants.js';
import { stepInvariants, stepRules } from '../step/invariants.js';
import { streamInvariants, streamRules } from '../stream/invariants.js';
import { workerInvariants } from '../worker/invariants.js';
import { ENTITY_KINDS, live, type PartitionState } from '../state.js';

const ENTRY_RULES: readonly EntryRule[] = [
  { name: 'positions in the log are dense', holds: (entry, previous) => entry.sequence === previous.sequence + 1 },
  {
    name: 'time does not go back in the log, unless an entry says that it does',
    holds({ event }, { event: previous }) {
      if (event.type !== 'clock_stepped_back') return event.at >= previous.at;
      return event.from === previous.at && event.to === event.at && event.from - event.to > MAX_CLOCK_LEAD_MS;
    },
  },
];

/** Every rule over the log. */
const LOG_RULES: Rules = {
  entries: ENTRY_RULES,
  lives: [
    ...executionRules,
    ...leaseRules,
    ...grantRules,
    ...scheduleRules,
    ...suspensionRules,
    ...stepRules,
    ...streamRules,
    ...meteringRules,
    ...flowRules,
  ],
};

function asked({ name, ofTime = false, holds }: ExecutionInvariant): Invariant {
  return {
    name,
    check(world) {
      if (ofTime && world.replay.steppedBack) return undefined;
      for (const execution of world.state.tables.execution.values()) {
        if (!holds(execution, world))
          return `${execution.executionId} is ${execution.situation}: ${JSON.stringify(execution)}`;
      }
      return undefined;
    },
  };
}

/** The facts of two entities that differ, by name. */
function differences(a: object, b: object): string[] {
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].filter((key) => {
    const [x, y] = [left[key], right[key]];
    return x !== y && (typeof x !== 'object' || typeof y !== 'object' || JSON.stringify(x) !== JSON.stringify(y));
  });
}

const partitionInvariants: readonly Invariant[] = [
  { name: 'the log can be folded', check: ({ replay: { unfoldable } }) => unfoldable },
  {
    name: 'no entry of the log lies in the future',
    check({ log, now }) {
      const last = log.at(-1);
      return last === undefined || last.event.at <= now
        ? undefined
        : `entry ${last.sequence} is at ${last.event.at}, now is ${now}`;
    },
  },
  {
    name: 'folding the log gives the state',
    check({ state, now, replay: { state: folded, whole, unfoldable } }) {
      if (!whole || unfoldable !== undefined) return undefined;
      for (const kind of ENTITY_KINDS) {
        const [stored, expected] = [live(kind, state, now), live(kind, folded, now)];
        if (stored.size !== expected.size) return `${stored.size} of kind ${kind}, the log has ${expected.size}`;
        for (const [id, entity] of expected) {
          const found = stored.get(id);
          if (found === undefined) return `${kind} ${id} is missing`;
          const names = differences(entity, found);
          if (names.length > 0) return `${kind} ${id} differs from its log in ${names.join(', ')}`;
        }
      }
      return undefined;
    },
  },
  {
    name: 'executions are filed under their ids, all of one partition',
    check({ state }) {
      let partition: string | undefined;
      for (const [id, execution] of state.tables.execution) {
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
  ...readerInvariants,
  ...budgetInvariants,
  ...streamInvariants,
  ...signingInvariants,
  ...workerInvariants,
  ...[
    ...executionInvariants,
    ...leaseInvariants,
    ...grantInvariants,
    ...scheduleInvariants,
    ...suspensionInvariants,
    ...stepInvariants,
    ...meteringInvariants,
    ...quotaInvariants,
    ...flowInvariants,
  ].map((invariant) => ('holds' in invariant ? asked(invariant) : invariant)),
  ...[...LOG_RULES.entries, ...LOG_RULES.lives].map(({ name }) => ({
    name,
    check: (world: World) => world.replay.faults.get(name),
  })),
];

export interface Violation {
  readonly name: string;
  readonly because: string;
}

/**
 * The invariants that do not hold. Costs one look at every execution and at every log entry that was not in the same
 * array at an earlier call. `clock` is the time of the store, which can be behind the newest log entry (ruling 14), ms since the epoch.
 */
export function violations(state: PartitionState, log: readonly LoggedEvent[], clock: number): Violation[] {
  const now = transitionTime({ time: log.at(-1)?.event.at ?? 0 }, clock);
  const world: World = { state, log, now, replay: replay(log, LOG_RULES) };
  // What is said of a situation means nothing where there is no such situation.
  const unknown = knownSituations.check(world);
  if (unknown !== undefined) return [{ name: knownSituations.name, because: unknown }];
  return INVARIANTS.flatMap(({ name, check }) => {
    const because = check(world);
    return because === undefined ? [] : [{ name, because }];
  });
}

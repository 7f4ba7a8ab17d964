/** The view of a partition as it was in a span of the life of one execution; it knows the others only by their ids. */
import { budgetsByDefinition } from '../../model/budget/view.js';
import { emptyPartition } from '../../model/state.js';
import type { ReadonlyExecution } from '../../model/execution/facts.js';
import { isTerminal } from '../../model/execution/situation.js';
import { quarantineByDefinition } from '../../model/partition/quarantine.js';
import { partsOf, serves } from '../../model/schedule/queue.js';
import { nextTimerAt } from '../../model/schedule/timers.js';
import { emptyHeader } from '../../model/state.js';
import type { Steps } from '../../model/step/contents.js';
import type { View } from '../../model/view.js';

/** The facts about the execution. */
export interface KnownMoment {
  /** Undefined before the creation. */
  readonly state: ReadonlyExecution | undefined;
  /** The bytes that it was created with. */
  readonly input: Uint8Array | undefined;
  readonly get: View['executions']['get'];
  readonly ofKey: View['executions']['ofKey'];
  /** Recorded steps. */
  readonly steps: Steps | undefined;
  /** Payloads of signals. */
  readonly payload: View['executions']['payload'];
}

/** The view. */
export function viewOfMoment({ state, get, input, ofKey, steps, payload }: KnownMoment): View {
  const ended = state !== undefined && isTerminal(state.situation);
  return {
    executions: {
      get,
      ids: () => [],
      whole: () => ({ executions: [], next: undefined }),
      listed: () => ({ executions: [], next: undefined }),
      ofKey,
      input: () => input,
      result: () => undefined,
      payload,
      suspended: () => ({ executions: [], next: undefined }),
      queued: () => ({ executions: [], next: undefined }),
      lost: () => ({ executions: [], next: undefined }),
    },
    schedule: {
      // No lane is paused in these runs.
      lane: () => undefined,
      claimable: (_, terms) => (state !== undefined && serves(terms, partsOf(state)) ? [state] : []),
      heads: () => [],
      eligible: () => [],
      due: (at) =>
        state !== undefined && (nextTimerAt(state) ?? Infinity) <= at ? [{ kind: 'execution', entity: state }] : [],
      purgeable: (at) => (ended && (state.dueAt ?? Infinity) <= at ? [state.executionId] : []),
      nextDueAt: () => undefined,
      lanes: () => [],
      tallies: () => new Map(),
    },
    signing: { current: () => undefined, get: () => undefined, all: () => [], digest: () => undefined },
    streams: { get: () => undefined, contents: () => undefined, retained: () => 0, watchedUntil: () => undefined },
    steps: {
      of: () => steps,
      page: () => ({ steps: steps?.records ?? [], stepCount: steps?.records.length ?? 0 }),
    },
    log: { header: emptyHeader(), readers: new Map(), read: () => [] },
    budgets: budgetsByDefinition(emptyPartition()),
    quarantine: quarantineByDefinition(),
    // No work is metered in these runs.
    quotas: { policy: () => undefined },
    metering: { admission: () => undefined, heads: () => [], line: () => ({ waiting: 0, oldest: undefined }) },
    workers: { get: () => undefined, count: 0, alive: () => ({ workers: [], next: undefined }) },
    // Decisions explained here read no flows.
    flows: {
      get: () => undefined,
      walk: () => undefined,
      ids: () => [],
      members: () => [],
      places: () => [],
      tally: () => new Map(),
      outgoing: () => [],
      downstreamOf: () => undefined,
    },
  };
}

/**
 * Folding events into state as a pure function: for the spec, the explorer, time travel. Apart from `evolve.ts`, so that
 * who runs the engine neither installs nor loads what only this needs.
 */
import { produce } from 'immer';
import type { Event } from './events.js';
import { evolveExecution, evolveInPlace } from './evolve.js';
import type { Execution } from './execution/execution.js';
import type { PartitionState } from './state.js';

/** The state after the event; the given state is left as it was. Costs a copy of the tables: for small worlds. */
export function evolve(state: PartitionState, event: Event): PartitionState {
  const next: PartitionState = {
    executions: new Map(state.executions),
    idempotency: new Map(state.idempotency),
    lanes: new Set(state.lanes),
  };
  const current = next.executions.get(event.executionId);
  if (current === undefined || event.type === 'execution_created' || event.type === 'execution_purged') {
    evolveInPlace(next, event);
  } else {
    next.executions.set(
      event.executionId,
      produce(current, (draft) => evolveExecution(draft as Execution, event)),
    );
  }
  return next;
}

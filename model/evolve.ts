/**
 * Folding events into state, in place: the memory backend. Its twin for the spec, which leaves the old state untouched,
 * is `evolve` in `evolve-pure.ts`. Both run the same recipes, and a property holds that they agree.
 */
import type { Recipe } from './core/recipe.js';
import { EngineError } from './errors.js';
import type { Event, EventType } from './events.js';
import type { Execution } from './execution/execution.js';
import { createdExecution, executionRecipes } from './execution/recipes.js';
import { leaseRecipes } from './lease/recipes.js';
import { idempotencyId, type PartitionState } from './state.js';

const RECIPES = { ...executionRecipes, ...leaseRecipes } as { [Type in EventType]?: Recipe<Type> };

/** Applies an event to the execution it is about; not for creation and purge, which make and remove it. */
export function evolveExecution(execution: Execution, event: Event): void {
  const recipe = RECIPES[event.type] as Recipe<EventType> | undefined;
  if (recipe === undefined) throw broken(event, 'has no recipe');
  recipe(execution, event);
}

/** Applies an event to the state. */
export function evolveInPlace(state: PartitionState, event: Event): void {
  evolveKnown(state, event, state.executions.get(event.executionId));
}

/**
 * Applies an event to the state, for a caller that has looked up its execution already. Gives that execution: the
 * one just made by a creation, the one just removed by a purge.
 */
export function evolveKnown(state: PartitionState, event: Event, known: Execution | undefined): Execution {
  if (event.type === 'execution_created') {
    if (known !== undefined) throw broken(event, 'names an execution that exists');
    const created = createdExecution(event);
    state.executions.set(event.executionId, created);
    state.lanes.add(event.laneId);
    if (event.idempotencyKey !== undefined && event.idempotencyExpiresAt !== undefined) {
      state.idempotency.set(idempotencyId(event.namespace, event.idempotencyKey), {
        executionId: event.executionId,
        expiresAt: event.idempotencyExpiresAt,
      });
    }
    return created;
  }
  if (known === undefined) throw broken(event, 'names an execution that does not exist');
  if (event.type === 'execution_purged') state.executions.delete(event.executionId);
  else evolveExecution(known, event);
  return known;
}

const broken = (event: Event, what: string): EngineError =>
  new EngineError('invariant_violation', `${event.type} of ${event.executionId} ${what}.`);

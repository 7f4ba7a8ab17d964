/**
 * Folding events into state as a pure function: for the specification, the explorer, time travel. The memory backend
 * folds in place (`../evolve.ts`), so running the engine neither installs nor loads immer.
 */
import { produce } from 'immer';
import type { Event } from '../events.js';
import { applyEffect, EFFECTS } from '../evolve.js';
import type { PartitionState, Tables } from '../state.js';

/** The state after the event; the given state is left as it was. Costs a copy of the tables it touches: for small worlds. */
export function evolve(state: PartitionState, event: Event): PartitionState {
  const tables = { ...state.tables } as Record<keyof Tables, Map<string, unknown>>;
  const next = { tables } as unknown as PartitionState;
  for (const effect of EFFECTS[event.type]) {
    const table = new Map(tables[effect.kind]);
    tables[effect.kind] = table;
    const { recipe } = effect;
    const id = effect.idIn(event);
    const known = id === undefined ? undefined : table.get(id);
    if ((recipe.does !== 'changes' && recipe.does !== 'enters') || id === undefined || known === undefined)
      applyEffect(next, event, effect);
    else
      table.set(
        id,
        produce(known, (draft) => recipe.change(draft, event)),
      );
  }
  return next;
}

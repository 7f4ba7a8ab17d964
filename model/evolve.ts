/**
 * Folding events into state, in place: the memory backend. Its twin for the specification, which leaves the old state
 * untouched, is `evolve` in `specification/evolve.ts`. Both run the same recipes, and a property holds that they agree.
 */
import { removesIfThere, type Entity, type Recipe } from './core/entity.js';
import type { ByteSlot } from './core/entity.js';
import { present } from './core/present.js';
import { keysOf, tableOf } from './core/tables.js';
import { EngineError } from './errors.js';
import { EVENTS, type Event, type EventNamed, type EventType } from './events.js';
import { isShortId, uuidOf } from './short-id.js';
import { ENTITY_KINDS, entityNamed, type EntityKind, type PartitionState } from './state.js';

/** One effect of an event. */
export interface Effect {
  readonly kind: EntityKind;
  /** Name of the fact that holds the entity's id, in the entity. */
  readonly key: string;
  /** The id of the entity, from an event that changes or removes it; undefined if the event names none. */
  readonly idIn: (event: Event) => string | undefined;
  readonly recipe: Recipe<unknown, Event>;
}

type AnyRecipes = Readonly<Record<string, Recipe<unknown, Event>>>;

const factNamed =
  (key: string) =>
  (event: object): string | undefined =>
    (event as Record<string, string>)[key];

/** The one event whose subject can be of any kind. */
function dropOf(kind: EntityKind, { subject }: Entity): Effect {
  const idIn = (event: Event): string | undefined => {
    const { droppedKind, droppedId } = event as EventNamed<'record_dropped'>;
    if (droppedKind !== kind) return undefined;
    return subject.shortId && isShortId(droppedId) ? uuidOf(droppedId) : droppedId;
  };
  return { kind, key: subject.key, idIn, recipe: removesIfThere };
}

function effectsOf(type: string): readonly Effect[] {
  return ENTITY_KINDS.flatMap((kind) => {
    const declared = entityNamed(kind);
    const { recipes, subject, idIn = factNamed(subject.key) } = declared;
    if (type === EVENTS.record_dropped.type) return kind === 'execution' ? [] : [dropOf(kind, declared)];
    const recipe = (recipes as AnyRecipes)[type];
    return recipe === undefined ? [] : [{ kind, key: subject.key, idIn, recipe }];
  });
}

/** The effects of each event, its subject first. */
export const EFFECTS: Readonly<Record<EventType, readonly Effect[]>> = tableOf(keysOf(EVENTS), effectsOf);

const ALL_BYTES: readonly ByteSlot[] = ['input', 'result', 'secret'];
const NO_BYTES: readonly ByteSlot[] = [];

/** Payload bytes that a recipe drops: all of them with the entity. */
export function droppedBy(recipe: Recipe<unknown, Event>): readonly ByteSlot[] {
  if (recipe.does === 'removes') return ALL_BYTES;
  return recipe.does === 'changes' ? (recipe.drops ?? NO_BYTES) : NO_BYTES;
}

/** Applies an event to the state. */
export function fold(state: PartitionState, event: Event): void {
  for (const effect of EFFECTS[event.type]) applyEffect(state, event, effect);
}

/**
 * Applies one effect to its table, and returns the entity that it created, changed or removed. `found`: the entity, if
 * the caller has looked it up.
 */
export function applyEffect(state: PartitionState, event: Event, effect: Effect, found?: object): unknown {
  const { kind, key, idIn, recipe } = effect;
  if (found !== undefined && recipe.does === 'changes') {
    recipe.change(found, event);
    return found;
  }
  const table = state.tables[kind] as Map<string, unknown>;
  if (recipe.does === 'enters') return enter(table, event, key, idIn(event), recipe);
  if (recipe.does === 'makes') {
    // An unchanged entity need not be copied.
    const there = recipe.ifThere === 'keep' ? entityAt(table, idIn(event)) : undefined;
    if (there !== undefined) return there;
    const made = recipe.make(event);
    if (made === undefined) return undefined;
    const id = present((made as Record<string, string>)[key]);
    if (recipe.ifThere === 'fail' && table.has(id)) throw broken(event, `names a ${kind} that exists`);
    table.set(id, made);
    return made;
  }
  const id = idIn(event);
  const known = entityAt(table, id);
  if (id === undefined || known === undefined) {
    if (recipe.does === 'removes' && recipe.ifGone === 'keep') return undefined;
    throw broken(event, `names a ${kind} that does not exist`);
  }
  if (recipe.does === 'removes') table.delete(id);
  else recipe.change(known, event);
  return known;
}

const entityAt = (table: ReadonlyMap<string, unknown>, id: string | undefined): unknown =>
  id === undefined ? undefined : table.get(id);

function enter(
  table: Map<string, unknown>,
  event: Event,
  key: string,
  id: string | undefined,
  recipe: Extract<Recipe<unknown, Event>, { does: 'enters' }>,
): unknown {
  const known = entityAt(table, id);
  if (known !== undefined) {
    recipe.change(known, event);
    return known;
  }
  const made = recipe.make(event);
  if (made !== undefined) table.set(present((made as Record<string, string>)[key]), made);
  return made;
}

function broken(event: Event, what: string): EngineError {
  return new EngineError('invariant_violation', `${event.type} ${what}.`);
}

/**
 * How an entity is declared: its stored facts, the effect of each event on it, and its timers. State is a table per
 * kind; folding, replaying, indexes, timers and the canonical form are loops over these declarations.
 */
import type { FamilyScope } from '../families.js';
import type { FactTable, StateOf } from './facts.js';
import type { Subject } from './subject.js';

/** Bytes of an execution, or of a signing key, that are stored beside its facts. */
export type ByteSlot = 'input' | 'result' | 'secret';

/** The effect of an event on one entity of a kind. */
export type Recipe<State, Event> =
  /** Creates it, unless the recipe returns undefined. An existing entity is a fault, is kept, or is replaced. */
  | { readonly does: 'makes'; readonly ifThere: 'fail' | 'keep' | 'replace'; make(event: Event): State | undefined }
  /** Changes it in place, or through immer, and drops its bytes in these slots. */
  | { readonly does: 'changes'; readonly drops?: readonly ByteSlot[]; change(state: State, event: Event): void }
  /** Changes the existing entity, or creates it unless `make` returns undefined. */
  | { readonly does: 'enters'; make(event: Event): State | undefined; change(state: State, event: Event): void }
  | { readonly does: 'removes'; readonly ifGone?: 'keep' };

export const makes = <State, Event>(
  make: (event: Event) => State | undefined,
  ifThere: 'fail' | 'keep' | 'replace' = 'fail',
): Recipe<State, Event> => ({ does: 'makes', ifThere, make });
export const changes = <State, Event>(
  change: (state: State, event: Event) => void,
  drops?: readonly ByteSlot[],
): Recipe<State, Event> => ({ does: 'changes', change, ...(drops === undefined ? {} : { drops }) });
export const makesOrChanges = <State, Event>(
  make: (event: Event) => State | undefined,
  change: (state: State, event: Event) => void,
): Recipe<State, Event> => ({ does: 'enters', make, change });
export const removes = { does: 'removes' } as const;
/** Removes an entity if it exists; a missing one is no fault. */
export const removesIfThere = { does: 'removes', ifGone: 'keep' } as const;

/** An entity of a table: its facts and its id. */
export type EntityState<About extends Subject, Table extends FactTable> = StateOf<Table> & {
  readonly [Key in About['key']]: string;
};

/** Looks up an entity by its kind and id. */
export type Find = (kind: string, id: string) => object | undefined;

export interface Entity<About extends Subject = Subject, Table extends FactTable = FactTable> {
  readonly subject: About;
  /** The family of the partitions that hold entities of the kind. Default: that of executions and flows. */
  readonly family?: FamilyScope;
  readonly facts: Table;
  /** By event type: events whose subject it is, and events that name it among their facts. */
  readonly recipes: Readonly<Record<string, Recipe<unknown, never>>>;
  /**
   * The id of the entity that an event changes or removes. Default: the event's fact with the name of the subject's
   * key.
   */
  idIn?(event: object): string;
  /**
   * Whether it counts at a time; what does not may be dropped at any moment. `find` gives another entity. Default: it
   * counts until an event removes it.
   */
  isLive?(state: Readonly<EntityState<About, Table>>, now: number, find: Find): boolean;
  /** The time of its timer, ms since the epoch; undefined without one. */
  timerOf?(state: Readonly<EntityState<About, Table>>): number | undefined;
}

/** Declares an entity. */
export const entity = <About extends Subject, Table extends FactTable>(
  declaration: Entity<About, Table>,
): Entity<About, Table> => declaration;

/** The state type of an entity declaration. */
export type StateOfEntity<D> = D extends Entity<infer About, infer Table> ? EntityState<About, Table> : never;

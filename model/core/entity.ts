/**
 * How an entity is declared: what is stored of it, what each event does to it, and when something is due for it. State
 * is a table per kind; folding, replaying, indexes, timers and the canonical form are loops over these declarations.
 */
import type { FamilyScope } from '../families.js';
import type { FactTable, StateOf } from './facts.js';
import type { ByteSlot } from './operation.js';
import type { Subject } from './subject.js';

/** What an event does to one entity of a kind. */
export type Recipe<State, Event> =
  /** Makes it, unless the recipe gives nothing. What is there already is a fault, stays, or is replaced. */
  | { readonly does: 'makes'; readonly ifThere: 'fail' | 'keep' | 'replace'; make(event: Event): State | undefined }
  /** Changes it in place, or through immer; its bytes of these slots are dropped. */
  | { readonly does: 'changes'; readonly drops?: readonly ByteSlot[]; change(state: State, event: Event): void }
  /** Changes the one that there is, or makes it, unless it gives nothing. */
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
/** What is gone already stays so. */
export const removesIfThere = { does: 'removes', ifGone: 'keep' } as const;

/** An entity of a table: its facts and its id. */
export type EntityState<About extends Subject, Table extends FactTable> = StateOf<Table> & {
  readonly [Key in About['key']]: string;
};

export interface Entity<About extends Subject = Subject, Table extends FactTable = FactTable> {
  readonly subject: About;
  /** The family of the partitions that hold entities of the kind. Default that of executions and flows. */
  readonly family?: FamilyScope;
  readonly facts: Table;
  /** By event type: those that it is the subject of, and those that name it among their facts. */
  readonly recipes: Readonly<Record<string, Recipe<unknown, never>>>;
  /** The id of the entity that an event changes or removes. Default the fact of the event that bears the subject's key. */
  idIn?(event: object): string;
  /** The time from which on it counts as absent, ms since the epoch: it may be dropped at any moment then. */
  lapsesAt?(state: Readonly<EntityState<About, Table>>): number;
  /** The time at which something is due for it, ms since the epoch; nothing when nothing is. */
  timerOf?(state: Readonly<EntityState<About, Table>>): number | undefined;
}

/** Declares an entity. */
export const entity = <About extends Subject, Table extends FactTable>(
  declaration: Entity<About, Table>,
): Entity<About, Table> => declaration;

/** The entity that a declaration is about. */
export type StateOfEntity<D> = D extends Entity<infer About, infer Table> ? EntityState<About, Table> : never;

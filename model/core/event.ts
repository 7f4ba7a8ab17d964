/**
 * How an event is declared: a past-tense name, the letter under which it is logged, its subject, and the facts it
 * carries. Facts stand in groups: a group is one text of the log entry, and where it repeats what is stored anyway
 * (a facet, a fence), the entry costs no new text.
 */
import type { Facet, FactTable, StateOf } from './facts.js';
import type { Subject } from './subject.js';

export interface EventDeclaration<
  Type extends string = string,
  About extends Subject = Subject,
  Table extends FactTable = FactTable,
> {
  readonly type: Type;
  /** One letter; never given to another event, also when this one is gone. */
  readonly letter: string;
  readonly subject: About;
  readonly facts: Table;
}

/** Declares an event. Besides its facts it names its subject and the time at which it happened. */
export function event<const Type extends string, About extends Subject, const Table extends FactTable>(
  type: Type,
  letter: string,
  subject: About,
  facts: Table,
): EventDeclaration<Type, About, Table> {
  return { type, letter, subject, facts };
}

/** An event as an object: its type, the id of its subject, its time (ms since the epoch) and its facts. */
export type EventOf<D> =
  D extends EventDeclaration<infer Type, infer About, infer Table>
    ? { readonly type: Type; readonly at: number } & { readonly [Key in About['key']]: string } & Readonly<
          keyof Table extends never ? unknown : StateOf<Table>
        >
    : never;

/** Texts of a log entry: the facts of a group together, long facts each alone. */
export function textsOf(facts: FactTable): readonly { readonly name: string; readonly facts: Facet }[] {
  return Object.entries(facts).flatMap(([name, group]) =>
    name === 'long'
      ? Object.entries(group).map(([fact, declared]) => ({ name: fact, facts: { [fact]: declared } }))
      : [{ name, facts: group }],
  );
}

/**
 * How an event is declared: a name in the past tense, its letter in the log, its subject, and its facts. Facts are
 * divided into groups, each of which is one text of the log entry. A group that repeats a stored text (a facet, a
 * fence) costs no new text.
 */
import type { Facet, FactTable, StateOf } from './facts.js';
import type { Subject } from './subject.js';

export interface EventDeclaration<
  Type extends string = string,
  About extends Subject = Subject,
  Table extends FactTable = FactTable,
> {
  readonly type: Type;
  /** One letter; never reused for another event, even after this one is removed. */
  readonly letter: string;
  readonly subject: About;
  readonly facts: Table;
}

/** Declares an event. Besides its facts, an event has the id of its subject and its time. */
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

/** The texts of a log entry: one per group of facts, and one per long fact. */
export function textsOf(facts: FactTable): readonly { readonly name: string; readonly facts: Facet }[] {
  return Object.entries(facts).flatMap(([name, group]) =>
    name === 'long'
      ? Object.entries(group).map(([fact, declared]) => ({ name: fact, facts: { [fact]: declared } }))
      : [{ name, facts: group }],
  );
}

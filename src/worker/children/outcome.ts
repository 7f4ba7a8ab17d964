/**
 * The outcome of a use of `children`, by its edges and the order in which the children ended. Neither changes, so every
 * run finds the same outcome.
 */
import type { AnswerOf } from '../../../model/machine.js';

export type Edge = AnswerOf<'listEdges'>['edges'][number];

/** How many children must complete. */
export type Needed =
  | { readonly kind: 'all' }
  | { readonly kind: 'any' | 'quorum'; readonly k: number; readonly onSatisfied: 'cancel_remaining' | 'let_run' };

/** The decision: which children made it, and when, ms since the epoch. */
export interface Decided {
  readonly kind: 'satisfied' | 'impossible';
  /** Indexes of the children that completed, or did not, ascending. */
  readonly places: readonly number[];
  readonly at: number;
  /** The place of the deciding end among the ends of all children of the execution. */
  readonly order: number;
}

interface Resolved {
  readonly place: number;
  readonly order: number;
  readonly at: number;
}

/** How many children must complete, of so many. */
const countOf = (needed: Needed, children: number): number => (needed.kind === 'all' ? children : needed.k);

function resolvedAs(edges: readonly Edge[], state: Edge['edgeState']): readonly Resolved[] {
  return edges
    .flatMap(({ edgeState, endOrder = 0, resolvedAt = 0 }, place) =>
      edgeState === state ? [{ place, order: endOrder, at: resolvedAt }] : [],
    )
    .sort((a, b) => a.order - b.order);
}

/** The decision; undefined while there is none. `edges` are in the order of the children. */
export function decidedBy(edges: readonly Edge[], needed: Needed): Decided | undefined {
  const k = countOf(needed, edges.length);
  const done = resolvedAs(edges, 'satisfied');
  if (done.length >= k) return decided('satisfied', done.slice(0, k));
  const missing = resolvedAs(edges, 'impossible');
  const spare = edges.length - k;
  return missing.length > spare ? decided('impossible', missing.slice(0, spare + 1)) : undefined;
}

/** How many more children must complete. `edges` are those of children that existed when the run began. */
export const stillNeeded = (edges: readonly Edge[], needed: Needed, children: number): number =>
  countOf(needed, children) - edges.filter(({ edgeState }) => edgeState === 'satisfied').length;

function decided(kind: Decided['kind'], resolved: readonly Resolved[]): Decided {
  const places = resolved.map(({ place }) => place).sort((a, b) => a - b);
  const { at = 0, order = 0 } = resolved.at(-1) ?? {};
  return { kind, places, at, order };
}

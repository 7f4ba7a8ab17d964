/**
 * The outcome of a use of `children`, by its edges. Resolved edges do not change, so every run finds the same outcome.
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
}

interface Resolved {
  readonly place: number;
  readonly at: number;
}

/** The decision; undefined while there is none. `edges` are in the order of the children. */
export function decidedBy(edges: readonly Edge[], needed: Needed): Decided | undefined {
  const k = needed.kind === 'all' ? edges.length : needed.k;
  const resolvedAs = (state: Edge['edgeState']): Resolved[] =>
    edges
      .flatMap(({ edgeState, late, resolvedAt = 0 }, place) =>
        edgeState === state && !late ? [{ place, at: resolvedAt }] : [],
      )
      .sort((a, b) => a.at - b.at);
  const done = resolvedAs('satisfied');
  if (done.length >= k) return decided('satisfied', done.slice(0, k));
  const missing = resolvedAs('impossible');
  const spare = edges.length - k;
  return missing.length > spare ? decided('impossible', missing.slice(0, spare + 1)) : undefined;
}

function decided(kind: Decided['kind'], resolved: readonly Resolved[]): Decided {
  const places = resolved.map(({ place }) => place).sort((a, b) => a - b);
  return { kind, places, at: resolved.at(-1)?.at ?? 0 };
}

/** The texts of edges that lead to one execution, in calls and in the log. */
import { EngineError } from '../errors.js';
import type { ValueCodec } from '../core/facts.js';
import { isShortId, shortIdOf, uuidOf } from '../short-id.js';

/** An edge beside its downstream. */
export interface StagedEdge {
  readonly edgeId: string;
  /** UUID of the upstream. */
  readonly upstream: string;
  /** A label for the data that the upstream passes to the downstream; empty when none is passed. */
  readonly dataPassingRef: string;
}

/** A line for each edge: two ids without spaces, and its label, which has no control characters. */
export const stagedEdges: ValueCodec<readonly StagedEdge[]> = {
  encode: (edges) =>
    edges
      .map(({ edgeId, upstream, dataPassingRef }) => `${shortIdOf(edgeId)} ${shortIdOf(upstream)} ${dataPassingRef}`)
      .join('\n'),
  decode: (text) =>
    text.split('\n').map((line) => {
      const [edgeId = '', upstream = '', ...words] = line.split(' ');
      if (!isShortId(edgeId) || !isShortId(upstream)) throw new EngineError('corruption', 'An edge has no ids.');
      return { edgeId: uuidOf(edgeId), upstream: uuidOf(upstream), dataPassingRef: words.join(' ') };
    }),
};

/** Edges that were resolved together: their ids. */
export const resolvedEdges: ValueCodec<readonly Pick<StagedEdge, 'edgeId'>[]> = {
  encode: (edges) => edges.map(({ edgeId }) => shortIdOf(edgeId)).join(' '),
  decode: (text) =>
    text.split(' ').map((edgeId) => {
      if (!isShortId(edgeId)) throw new EngineError('corruption', 'An edge has no id.');
      return { edgeId: uuidOf(edgeId) };
    }),
};

/** What holds for the contents of streams beside the state: frames, counters, summaries. Spec 07, Invariants. */
import { createHash } from 'node:crypto';
import { present } from '../core/present.js';
import type { PartitionState } from '../state.js';
import { MAX_MEMBERS, parseCanonical, printed } from './canonical-json.js';
import { FRAME_MODES, frameIdOf, type Frame, type StreamContents, type StreamTable } from './contents.js';
import { comparePositions, positionOf } from './cursor.js';
import { executionOfStream, type ReadonlyStream } from './facts.js';
import { merged, widest } from './merge-patch.js';
import { SUMMARY_FRAMES } from './retention.js';
import { DEFAULTS, LIMITS } from '../limits.js';

export interface ContentInvariant {
  readonly name: string;
  /**
   * Whether the rule holds for a stream and its contents; one of them can be missing.
   * @param window durable frames that the stream keeps
   */
  holds(stream: ReadonlyStream | undefined, contents: Readonly<StreamContents> | undefined, window: number): boolean;
}

const UTF8 = new TextDecoder();

/** A rule for streams with both a record and contents. */
const both = (
  name: string,
  holds: (stream: ReadonlyStream, contents: Readonly<StreamContents>, window: number) => boolean,
): ContentInvariant => ({
  name,
  holds: (stream, contents, window) =>
    stream === undefined || contents === undefined || holds(stream, contents, window),
});

const position = (id: string) => positionOf(id, 'from');
const ascends = (frames: readonly Frame[]): boolean =>
  frames.every(({ id }, i) => i === 0 || comparePositions(position(present(frames[i - 1]).id), position(id)) < 0);

const framesOf = ({ frames }: Readonly<StreamContents>): Frame[] => FRAME_MODES.flatMap((mode) => frames[mode]);

/** The sentinel as a value; inside nested strings its quotes are escaped. */
const SENTINEL_VALUE = /[[,:]"__ff_null__"[\],}]/;

/** A rule for an existing document. */
const ofDocument = (name: string, holds: (document: string, stream: ReadonlyStream) => boolean): ContentInvariant =>
  both(name, (stream, { document }) => document === '' || holds(document, stream));

/** Applies patches to an empty document. */
const folded = (patches: readonly Frame[]): string =>
  printed(
    patches.reduce(
      (document, { payload }) => merged(document, parseCanonical(UTF8.decode(payload))),
      parseCanonical('{}'),
    ),
  );

export const contentInvariants: readonly ContentInvariant[] = [
  {
    name: 'a stream has a record if and only if it has frames, or had some',
    holds: (stream, contents) => (stream === undefined) === (contents === undefined),
  },
  both('frames of each mode ascend, and no two of a stream have one id', (_, contents) => {
    const all = framesOf(contents);
    return (
      FRAME_MODES.every((mode) => ascends(contents.frames[mode])) &&
      new Set(all.map(({ id }) => id)).size === all.length
    );
  }),
  both('the newest frame has the greatest id that was ever given, or is gone', (_, contents) => {
    const last = position(frameIdOf(contents.counters));
    return framesOf(contents).every(({ id }) => comparePositions(position(id), last) <= 0);
  }),
  both('the counters count what there is, and what is gone', (_, contents) => {
    const all = framesOf(contents);
    const bytes = all.reduce((sum, { payload }) => sum + payload.byteLength, 0);
    const { frameCount, totalBytes } = contents.counters;
    return frameCount === all.length ? totalBytes === bytes : frameCount > all.length && totalBytes >= bytes;
  }),
  both(
    'no mode keeps more frames than its window',
    (_, { frames, rate }, window) =>
      frames.durable.length <= window &&
      frames.summary.length <= SUMMARY_FRAMES &&
      frames.best_effort.length <= (rate?.maxlen ?? 0),
  ),
  both(
    'no mode drops frames of another one, nor any that its window holds',
    ({ summaryVersion }, { frames, rate, counters: { frameCount } }, window) =>
      frames.summary.length === Math.min(summaryVersion, SUMMARY_FRAMES) &&
      // Without best-effort frames, all frames ever appended are of the other two modes.
      (rate !== undefined || frames.durable.length === Math.min(frameCount - summaryVersion, window)),
  ),
  both('a frame is of the mode under which it stands', (_, { frames }) =>
    FRAME_MODES.every((each) =>
      frames[each].every(
        ({ mode, summaryVersion, ttlMs }) =>
          mode === each &&
          (summaryVersion !== undefined) === (mode === 'summary') &&
          (ttlMs !== undefined) === (mode === 'best_effort'),
      ),
    ),
  ),
  both(
    'a closed stream was closed with what it holds',
    ({ closedAt, ...closing }, { counters }) =>
      closedAt === undefined ||
      (closing.frameCount === counters.frameCount &&
        closing.totalBytes === counters.totalBytes &&
        closing.lastFrameId === frameIdOf(counters)),
  ),
  both(
    'the k-th patch made the version k, and the newest the version of the summary',
    ({ summaryVersion }, { frames }) =>
      frames.summary.every((frame, i) => frame.summaryVersion === summaryVersion - frames.summary.length + 1 + i),
  ),
  both(
    'there is a document if and only if there was a patch',
    ({ summaryVersion }, { document }) => summaryVersion > 0 === (document !== ''),
  ),
  ofDocument(
    'the document is what its record says: size and digest',
    (document, { summaryBytes, summaryDigest }) =>
      Buffer.byteLength(document) === summaryBytes &&
      createHash('sha1').update(document).digest('hex') === summaryDigest,
  ),
  ofDocument(
    'the document is canonical: printed again, it is the same',
    (document) => printed(parseCanonical(document)) === document,
  ),
  ofDocument(
    'the document holds no sentinel, and keeps to its limits',
    (document) =>
      !SENTINEL_VALUE.test(document) &&
      Buffer.byteLength(document) <= LIMITS.maxSummaryBytes &&
      widest(parseCanonical(document)) <= MAX_MEMBERS,
  ),
  both(
    'the document is the fold of all patches, as long as all are kept',
    ({ summaryVersion }, { frames, document }) =>
      summaryVersion === 0 || summaryVersion !== frames.summary.length || folded(frames.summary) === document,
  ),
];

/** The broken invariants: each name, with the stream. */
export function contentViolations({ tables }: PartitionState, streams: StreamTable): string[] {
  const ids = new Set([...tables.stream.keys(), ...streams.keys()]);
  return [...ids].flatMap((id) => {
    const { policy } = tables.execution.get(executionOfStream(id)) ?? {};
    const window = policy?.streamPolicy?.retentionMaxlen ?? DEFAULTS.streamMaxlen;
    return contentInvariants
      .filter(({ holds }) => !holds(tables.stream.get(id), streams.get(id), window))
      .map(({ name }) => `${name}: ${id}`);
  });
}

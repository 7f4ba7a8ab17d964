/** Reads of streams: frames, and the rolling summary. They need no lease, and work after the stream is closed. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, query } from '../operation.js';
import { present } from '../core/present.js';
import { isTerminal } from '../execution/situation.js';
import { partitionOfExecution } from '../ids.js';
import { LIMITS } from '../limits.js';
import { areOver, type Frame, type StreamContents } from './contents.js';
import { isAttemptOver } from './closing.js';
import { comparePositions, positionAfter, positionOf, type Position } from './cursor.js';
import { streamIdOf } from './facts.js';
import { framePosition, streamCursor } from './fields.js';

const ofAttempt = { executionId: field.executionId, attemptIndex: field.attemptIndex };
const partition = ({ executionId }: { executionId: string }): string => partitionOfExecution(executionId);

export interface StreamFrames {
  /** Ascending by id. */
  readonly frames: readonly Frame[];
  /** Whether the stream is complete: the attempt is over. */
  readonly isClosed: boolean;
  /** When and why a stream with frames was closed; ms since the epoch. */
  readonly closedAt: number | undefined;
  readonly closedReason: string | undefined;
  /** The id of the last frame of the page; the next page begins after it. Absent when no frame follows. */
  readonly nextCursor: string | undefined;
  /** Number of attempts of the execution; absent when there is no such execution. */
  readonly attemptCount: number | undefined;
  /** Whether the execution has ended, so that no attempt follows unless it is replayed. */
  readonly isEnded: boolean;
  /** Number of frames that are no longer kept. */
  readonly droppedFrames: number;
}

export const readStream = query({
  name: 'readStream',
  args: z.strictObject({
    ...ofAttempt,
    /** Inclusive: `start`, `end`, `<ms>` or `<ms>-<seq>`. */
    from: streamCursor.default('start'),
    to: streamCursor.default('end'),
    /** Exclusive, the position of a frame: only later frames. Takes a page's `nextCursor`. */
    after: framePosition.optional(),
    /** Most frames of the page. It ends earlier when their payloads reach 256 KiB. */
    limit: field.integer(1, LIMITS.maxFramesPerRead).default(LIMITS.defaultFramesPerRead),
    visibility: z.enum(['all', 'exclude_best_effort']).default('all'),
  }),
  rejects: [],
  partition,
  read(view, { executionId, attemptIndex, to, limit, visibility, ...args }, { now }) {
    const streamId = streamIdOf(executionId, attemptIndex);
    const contents = view.streams.contents(streamId);
    const stream = view.streams.get(streamId);
    const execution = view.executions.get(executionId);
    const [first, last] = [firstOf(args), positionOf(to, 'to')];
    const shown = visible(contents, { all: visibility === 'all', now, first, last, count: limit + 1 });
    const frames = onePage(shown, limit);
    return accept<StreamFrames>({
      frames: frames.map(copyOf),
      isClosed: stream?.closedAt !== undefined || (execution !== undefined && isAttemptOver(execution, attemptIndex)),
      closedAt: stream?.closedAt,
      closedReason: stream?.closedReason,
      nextCursor: shown.length > frames.length ? frames.at(-1)?.id : undefined,
      attemptCount: execution?.totalAttemptCount,
      isEnded: execution !== undefined && isTerminal(execution.situation),
      droppedFrames: contents === undefined ? 0 : contents.counters.frameCount - view.streams.retained(streamId, now),
    });
  },
});

/** A copy: a reader that changes its bytes must not change the stream. */
const copyOf = (frame: Frame): Frame => ({ ...frame, payload: Buffer.from(frame.payload) });

/** The first frames, as many as a page may have by their number and by their bytes. */
function onePage(frames: readonly Frame[], limit: number): readonly Frame[] {
  let bytes = 0;
  const beyond = frames.findIndex(({ payload }, index) => {
    bytes += payload.byteLength;
    return index === limit || (index > 0 && bytes > LIMITS.maxFrameBytesPerRead);
  });
  return beyond === -1 ? frames : frames.slice(0, beyond);
}

interface Wanted {
  /** Whether best-effort frames are included. */
  readonly all: boolean;
  readonly now: number;
  readonly first: Position;
  readonly last: Position;
  readonly count: number;
}

/** The first visible frames between two positions, ascending by id. */
function visible(contents: Readonly<StreamContents> | undefined, wanted: Wanted): readonly Frame[] {
  if (contents === undefined) return [];
  const { durable, summary, best_effort } = contents.frames;
  const shown = wanted.all && !areOver(contents, wanted.now) ? best_effort : [];
  return [durable, summary, shown]
    .flatMap((frames) => between(frames, wanted))
    .sort((a, b) => comparePositions(a.position, b.position))
    .slice(0, wanted.count)
    .map(({ frame }) => frame);
}

/** The first frames of a mode between two positions, found without scanning earlier ones. */
function between(
  frames: readonly Frame[],
  { first, last, count }: Wanted,
): readonly { readonly frame: Frame; readonly position: Position }[] {
  let [low, high] = [0, frames.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePositions(positionOf(present(frames[middle]).id, 'from'), first) < 0) low = middle + 1;
    else high = middle;
  }
  return frames
    .slice(low, low + count)
    .map((frame) => ({ frame, position: positionOf(frame.id, 'from') }))
    .filter(({ position }) => comparePositions(position, last) <= 0);
}

/** The first position of a read. */
export function firstOf({ from, after }: { readonly from: string; readonly after?: string | undefined }): Position {
  const first = positionOf(from, 'from');
  const behind = after === undefined ? first : positionAfter(after);
  return comparePositions(first, behind) > 0 ? first : behind;
}

export interface StreamSummary {
  /** The canonical document: a JSON object. */
  readonly documentJson: string;
  /** Number of accepted patches. */
  readonly version: number;
  readonly patchKind: 'json-merge-patch';
  readonly firstAppliedAt: number;
  readonly lastUpdatedAt: number;
}

export const readSummary = query({
  name: 'readSummary',
  args: z.strictObject(ofAttempt),
  rejects: [],
  partition,
  /** Undefined before the first patch. */
  read(view, { executionId, attemptIndex }) {
    const streamId = streamIdOf(executionId, attemptIndex);
    const stream = view.streams.get(streamId);
    if (stream === undefined || stream.summaryVersion === 0) return accept<StreamSummary | undefined>(undefined);
    return accept<StreamSummary | undefined>({
      documentJson: view.streams.contents(streamId)?.document ?? '{}',
      version: stream.summaryVersion,
      patchKind: 'json-merge-patch',
      firstAppliedAt: present(stream.firstAppliedAt),
      lastUpdatedAt: present(stream.lastUpdatedAt),
    });
  },
});

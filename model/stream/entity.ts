/** The stream of an attempt as an entity: its facts and its recipes. */
import { changes, entity, makes, removes } from '../core/entity.js';
import type { EventNamed } from '../events.js';
import { STREAM, streamFacts, streamIdOf, type Stream } from './facts.js';

type StreamEvent = EventNamed<'stream_opened' | 'summary_patched' | 'stream_closed' | 'stream_removed'>;

const opened = ({ executionId, attemptIndex, attemptId, at }: EventNamed<'stream_opened'>): Stream => ({
  streamId: streamIdOf(executionId, attemptIndex),
  attemptId,
  openedAt: at,
  summaryVersion: 0,
  summaryBytes: 0,
  summaryDigest: undefined,
  firstAppliedAt: undefined,
  lastUpdatedAt: undefined,
  closedAt: undefined,
  closedReason: undefined,
  frameCount: undefined,
  totalBytes: undefined,
  lastFrameId: undefined,
});

export const streamEntity = entity({
  subject: STREAM,
  facts: streamFacts,
  idIn: (event) => streamIdOf((event as StreamEvent).executionId, (event as StreamEvent).attemptIndex),
  recipes: {
    stream_opened: makes(opened),
    summary_patched: changes((stream: Stream, event: EventNamed<'summary_patched'>) => {
      stream.summaryVersion = event.summaryVersion;
      stream.summaryBytes = event.summaryBytes;
      stream.summaryDigest = event.summaryDigest;
      stream.firstAppliedAt ??= event.at;
      stream.lastUpdatedAt = event.at;
    }),
    stream_closed: changes((stream: Stream, event: EventNamed<'stream_closed'>) => {
      stream.closedAt = event.at;
      stream.closedReason = event.closedReason;
      stream.frameCount = event.frameCount;
      stream.totalBytes = event.totalBytes;
      stream.lastFrameId = event.lastFrameId;
    }),
    stream_removed: removes,
  },
});

/** What can happen to a stream. Its subject is the execution: the attempt says which of its streams. */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { EXECUTION } from '../execution/facts.js';
import { CLOSED_REASONS } from './facts.js';

export const streamEvents = {
  /** The first frame of an attempt was appended. */
  stream_opened: event('stream_opened', 'zo', EXECUTION, {
    stream: { attemptIndex: fact.counter(), attemptId: fact.id() },
  }),
  /** The rolling summary changed; the document is payload. */
  summary_patched: event('summary_patched', 'zp', EXECUTION, {
    stream: {
      attemptIndex: fact.counter(),
      summaryVersion: fact.number(),
      summaryBytes: fact.number(),
      summaryDigest: fact.text(),
    },
  }),
  /** The attempt ended: nothing can be appended. */
  stream_closed: event('stream_closed', 'zc', EXECUTION, {
    stream: {
      attemptIndex: fact.counter(),
      closedReason: fact.word(CLOSED_REASONS),
      frameCount: fact.number(),
      totalBytes: fact.counter(),
      lastFrameId: fact.text(),
    },
  }),
  /** The execution was purged. */
  stream_removed: event('stream_removed', 'zr', EXECUTION, { stream: { attemptIndex: fact.counter() } }),
} as const;

/**
 * What is stored of an attempt's stream (spec 07). Frames, and the counters of an open stream, are beside the state
 * (`contents.ts`, ruling 39): the log has the opening, the changes of the summary, and the final counts.
 */
import type { EntityState } from '../core/entity.js';
import * as fact from '../core/facts.js';
import { subject } from '../core/subject.js';

export const STREAM = subject('stream', 'streamId');

/** Why a stream was closed, by what ended its attempt, and the stored letter. */
export const CLOSED_REASONS = {
  attempt_success: 's',
  attempt_failure: 'f',
  attempt_cancelled: 'c',
  expired: 'e',
  lease_expired: 'l',
  reclaimed: 'r',
  /** Its execution was skipped: its dependencies can no longer be met. */
  dependency_impossible: 'd',
  suspension_timeout: 't',
} as const;
export type ClosedReason = keyof typeof CLOSED_REASONS;

export const streamFacts = fact.factTable({
  given: { attemptId: fact.id(), openedAt: fact.number() },
  summary: {
    /** Number of accepted patches. */
    summaryVersion: fact.counter(),
    /** Size of the canonical document, bytes. */
    summaryBytes: fact.counter(),
    /** SHA-1 of the document. */
    summaryDigest: fact.optionalText(),
    firstAppliedAt: fact.optionalNumber(),
    lastUpdatedAt: fact.optionalNumber(),
  },
  closing: {
    closedAt: fact.optionalNumber(),
    closedReason: fact.optionalText(),
    /** Frames ever appended, and bytes of their payloads. */
    frameCount: fact.optionalNumber(),
    totalBytes: fact.optionalNumber(),
    lastFrameId: fact.optionalText(),
  },
});

export type Stream = EntityState<typeof STREAM, typeof streamFacts>;
export type ReadonlyStream = Readonly<Stream>;

/** The id of the stream of an attempt. */
export function streamIdOf(executionId: string, attemptIndex: number): string {
  return `${executionId}:${attemptIndex}`;
}

/** The execution of a stream. */
export function executionOfStream(streamId: string): string {
  return streamId.slice(0, streamId.lastIndexOf(':'));
}

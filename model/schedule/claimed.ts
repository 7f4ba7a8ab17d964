/** What a claim gives to the new owner of an execution. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { ATTEMPT_TYPES } from '../lease/events.js';
import type { Earlier } from './earlier.js';

/** How a claim took an execution, and its wire letter. */
export const CLAIM_KINDS = {
  /** A first attempt, a retry, or the first after a replay. */
  fresh: 'f',
  /** A new attempt after the last owner was lost. */
  reclaimed: 'c',
  /** The interrupted attempt is resumed. */
  resumed: 's',
} as const;

/** One execution in the hands of its new owner. */
export const claimedExecution = z.object({
  executionId: field.executionId,
  leaseId: field.uuid,
  leaseEpoch: field.leaseEpoch,
  attemptIndex: field.attemptIndex,
  attemptId: field.uuid,
  claimKind: field.wordOf(CLAIM_KINDS),
  leaseExpiresAt: field.timestampMs,
  executionKind: field.executionKind,
  /** Its priority: the highest that was claimable in the lane. */
  priority: field.priority,
  /** Size of the input, bytes. */
  payloadBytes: field.count,
  /**
   * Empty when there is none; absent when it is longer than 32 KiB, or could not be fetched: read it with
   * `readExecutionContext`.
   */
  inputPayload: field.bytes.optional(),
  payloadEncoding: field.encoding.optional(),
  /** Absent when an attempt is resumed. */
  attemptType: field.wordOf(ATTEMPT_TYPES).optional(),
  /** Absent without a timeout, or when it starts with `beginAttempt`. */
  attemptTimeoutAt: field.timestampMs.optional(),
  /**
   * The timeout of the attempt, ms, if it starts with `beginAttempt`: for a claim made ahead, and for one without the
   * input or without all results of upstreams. Absent if `beginAttempt` is not needed.
   */
  attemptTimeoutRemainingMs: field.durationMs.optional(),
  executionDeadlineAt: field.timestampMs.optional(),
  tags: field.tags,
  /** What earlier owners left; absent for the first owner, and when it is too large for a claim and must be read. */
  earlier: z.custom<Earlier>().optional(),
  /**
   * For claims of dependent work by `claimForWorker`: the upstream results with a `dataPassingRef`, by edge id. At most
   * 1 MiB per claim.
   */
  upstreamResults: z
    .array(
      z.object({
        edgeId: field.plainUuid,
        dataPassingRef: z.string(),
        resultEncoding: field.encoding.optional(),
        /** Absent when the upstream completed without a result. */
        result: field.bytes.optional(),
      }),
    )
    .optional(),
  /** The claim does not include all results: read the others with `listEdges` and `getExecutionResult`. */
  moreUpstreamResults: z.boolean().optional(),
  /**
   * A handle for the execution and its fence, accepted by every owner operation; present when the claim asked for
   * handles.
   */
  handle: z.string().optional(),
});
export type ClaimedExecution = z.output<typeof claimedExecution>;

/** Ids for one execution, minted by the caller. */
export const claimIds = z.strictObject({ leaseId: field.uuid, attemptId: field.uuid });
export type ClaimIds = z.output<typeof claimIds>;

/** What a claim gives to the new owner of an execution, and how it came by it. */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { ATTEMPT_TYPES } from '../lease/events.js';
import type { Earlier } from './earlier.js';

/** How a claim took an execution, and the letter under which that travels. */
export const CLAIM_KINDS = {
  /** A first attempt, a retry, or the first after a replay. */
  fresh: 'f',
  /** A new attempt after a lost owner. */
  reclaimed: 'c',
  /** The same attempt goes on. */
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
  /** How urgent it is: nothing that waited for the same lane and could be claimed with it is more so. */
  priority: field.priority,
  inputPayload: field.bytes,
  payloadEncoding: field.encoding.optional(),
  /** Absent when an attempt is resumed. */
  attemptType: field.wordOf(ATTEMPT_TYPES).optional(),
  /** Absent when the attempt has no timeout, or was claimed ahead: its time runs from `beginAttempt` on. */
  attemptTimeoutAt: field.timestampMs.optional(),
  /**
   * Of a claim that was made ahead: the time of the attempt, ms, which runs from `beginAttempt` on. Absent when the
   * attempt has no timeout, and so need not be begun.
   */
  attemptTimeoutRemainingMs: field.durationMs.optional(),
  executionDeadlineAt: field.timestampMs.optional(),
  tags: field.tags,
  /** What earlier owners left; absent for the first one, and when it is too much for a claim: it is read then. */
  earlier: z.custom<Earlier>().optional(),
  /**
   * Of what depends on others, claimed by `claimForWorker`: the results that were given with a `dataPassingRef`, by the ids of
   * the edges. A claim brings 1 MiB of them at most.
   */
  upstreamResults: z
    .array(
      z.object({
        edgeId: field.plainUuid,
        dataPassingRef: z.string(),
        resultEncoding: field.encoding.optional(),
        /** Absent when its upstream completed without one. */
        result: field.bytes.optional(),
      }),
    )
    .optional(),
  /** There are results that the claim does not bring: `listEdges` and `getExecutionResult` have them. */
  moreUpstreamResults: z.boolean().optional(),
  /** Stands for the execution and its fence in every owner operation; there when the claim asked for handles. */
  handle: z.string().optional(),
});
export type ClaimedExecution = z.output<typeof claimedExecution>;

/** Ids for one execution, minted by the caller of a claim. */
export const claimIds = z.object({ leaseId: field.uuid, attemptId: field.uuid });
export type ClaimIds = z.output<typeof claimIds>;

/**
 * claimForWorker: takes the best work of a lane that a worker can do, in one step: selection, admission, attempt
 * and lease. Lapsed work comes first and starts a new attempt; interrupted work goes on with its attempt.
 * Spec 04 sections 3.2 to 3.4, spec 05 sections 6 to 9.
 *
 * A two-step grant (issue, then consume) has its place between `claimable` and `acquire`; budget and quota
 * admission belong in the loop, before `acquire`.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { acceptAll, operation } from '../core/operation.js';
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/execution.js';
import { isReclaimable } from '../execution/situation.js';
import { ATTEMPT_TYPES } from '../lease/events.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import type { View } from '../view.js';
import { purgeAtOf } from './timers.js';

export const MAX_RECLAIMS_EXCEEDED = 'max_reclaims_exceeded';

/** One execution in the hands of its new owner. */
const claimedExecution = z.object({
  executionId: field.executionId,
  leaseId: field.uuid,
  leaseEpoch: field.leaseEpoch,
  attemptIndex: field.attemptIndex,
  attemptId: field.uuid,
  /** `fresh`: first attempt or retry; `reclaimed`: new attempt after a lost owner; `resumed`: the same attempt goes on. */
  claimKind: z.enum(['fresh', 'reclaimed', 'resumed']),
  leaseExpiresAt: field.timestampMs,
  executionKind: field.executionKind,
  inputPayload: field.bytes,
  payloadEncoding: field.encoding.optional(),
  /** Absent when an attempt is resumed. */
  attemptType: z.enum(ATTEMPT_TYPES).optional(),
  attemptTimeoutAt: field.timestampMs.optional(),
  executionDeadlineAt: field.timestampMs.optional(),
  tags: field.tags,
});
export type ClaimedExecution = z.output<typeof claimedExecution>;

const NO_PAYLOAD = new Uint8Array(0);

const NO_CAPABILITIES: ReadonlySet<string> = new Set();
const offeredBy = (tokens: readonly string[]): ReadonlySet<string> =>
  tokens.length === 0 ? NO_CAPABILITIES : new Set(tokens);

export const claimForWorker = operation({
  name: 'claimForWorker',
  args: z.object({
    partition: field.partitionKey,
    laneId: field.laneId,
    workerId: field.workerId,
    workerInstanceId: field.workerInstanceId,
    workerCapabilities: field.capabilities.default([]),
    leaseTtlMs: field.leaseTtlMs.default(DEFAULTS.leaseTtlMs),
    /** Ids for as many executions as the worker wants at most; minted by the caller. */
    claims: z
      .array(z.object({ leaseId: field.uuid, attemptId: field.uuid }))
      .min(1)
      .max(LIMITS.maxClaimCount),
  }),
  outcome: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('claimed'),
      executions: z.array(claimedExecution),
      /** Executions that this call ended `failed` because their leases lapsed too often. */
      reclaimCapExceeded: z.array(field.executionId),
    }),
    z.object({ kind: z.literal('no_work'), reclaimCapExceeded: z.array(field.executionId) }),
  ]),
  rejects: [],
  partition: (args) => args.partition,
  decide(view, args, { now, settings }) {
    const candidates = view.claimable(args.laneId, offeredBy(args.workerCapabilities), args.claims.length);
    const ended = candidates.filter(isBeyondReclaim);
    // Arrays of the size they need: one that grows reserves sixteen places, and most claims are of one execution.
    const executions = new Array<ClaimedExecution>(candidates.length - ended.length);
    const events = new Array<Event>(candidates.length);
    let taken = 0;
    for (const [position, execution] of candidates.entries()) {
      if (isBeyondReclaim(execution)) {
        events[position] = endOf(execution, now, settings.retentionMs);
      } else {
        const claimed = acquire(view, execution, args, taken, now);
        executions[taken++] = claimed;
        events[position] = acquisitionOf(claimed, args, now);
      }
    }
    const reclaimCapExceeded = ended.map(({ executionId }) => executionId);
    return taken === 0
      ? acceptAll({ kind: 'no_work', reclaimCapExceeded }, events)
      : acceptAll({ kind: 'claimed', executions, reclaimCapExceeded }, events);
  },
});

/** Whether a lapsed execution has been reclaimed as often as it may be. */
function isBeyondReclaim({ situation, leaseReclaimCount, policy }: ReadonlyExecution): boolean {
  return isReclaimable(situation) && leaseReclaimCount >= (policy?.maxReclaimCount ?? DEFAULTS.maxReclaimCount);
}

function endOf(execution: ReadonlyExecution, now: number, retentionMs: number): Event {
  return {
    type: 'execution_failed',
    executionId: execution.executionId,
    at: now,
    failureReason: MAX_RECLAIMS_EXCEEDED,
    failureCategory: MAX_RECLAIMS_EXCEEDED,
    purgeAt: purgeAtOf(execution, now, retentionMs),
  };
}

type ClaimArgs = z.output<typeof claimForWorker.args>;

function acquire(
  view: View,
  execution: ReadonlyExecution,
  args: ClaimArgs,
  position: number,
  now: number,
): ClaimedExecution {
  const ids = args.claims[position] as ClaimArgs['claims'][number];
  const reclaimed = isReclaimable(execution.situation);
  const resumed = !reclaimed && execution.nextAttempt === 'resume';
  const timeoutMs = resumed ? execution.attemptTimeoutRemainingMs : execution.policy?.timeoutPolicy?.attemptTimeoutMs;
  return {
    executionId: execution.executionId,
    leaseId: ids.leaseId,
    leaseEpoch: execution.currentLeaseEpoch + 1,
    attemptIndex: resumed ? execution.totalAttemptCount - 1 : execution.totalAttemptCount,
    attemptId: resumed ? (execution.currentAttemptId as string) : ids.attemptId,
    claimKind: reclaimed ? 'reclaimed' : resumed ? 'resumed' : 'fresh',
    attemptType: reclaimed ? 'reclaim' : resumed ? undefined : execution.nextAttempt === 'retry' ? 'retry' : 'initial',
    leaseExpiresAt: now + args.leaseTtlMs,
    attemptTimeoutAt: timeoutMs === undefined ? undefined : now + timeoutMs,
    executionDeadlineAt: execution.executionDeadlineAt,
    executionKind: execution.executionKind,
    payloadEncoding: execution.payloadEncoding,
    tags: execution.tags,
    inputPayload: execution.payloadBytes === 0 ? NO_PAYLOAD : (view.payload(execution.executionId) ?? NO_PAYLOAD),
  };
}

function acquisitionOf(claimed: ClaimedExecution, args: ClaimArgs, now: number): Event {
  // One literal for both types: this is made for every claim. A resumed attempt has no type.
  return {
    type: claimed.attemptType === undefined ? 'execution_resumed' : 'execution_claimed',
    executionId: claimed.executionId,
    at: now,
    attemptType: claimed.attemptType,
    attemptId: claimed.attemptId,
    attemptIndex: claimed.attemptIndex,
    leaseId: claimed.leaseId,
    leaseEpoch: claimed.leaseEpoch,
    leaseExpiresAt: claimed.leaseExpiresAt,
    workerId: args.workerId,
    workerInstanceId: args.workerInstanceId,
    attemptTimeoutAt: claimed.attemptTimeoutAt,
  } as Event;
}

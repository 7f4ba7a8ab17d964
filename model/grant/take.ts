/**
 * Taking an execution by its id. Capabilities and admission were checked when the grant was issued. A call repeated
 * after a lost reply, with the same ids, returns its lease again. Spec 04 section 3.3, spec 05 section 8.1.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { accept, reject, type Accepted, type Rejected } from '../operation.js';
import { present } from '../core/present.js';
import { withReader, type AnswerReader } from '../core/wire-form.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { isGranted } from '../execution/situation.js';
import { DEFAULTS } from '../limits.js';
import { acquire, acquisitionOf, attemptTimeOf, carriedInput } from '../schedule/acquire.js';
import { readExecution, readId } from '../schedule/claim-answer.js';
import { earlierOf } from '../schedule/earlier.js';
import { claimedExecution, type ClaimedExecution } from '../schedule/claimed.js';
import type { View } from '../view.js';

/** Arguments of every claim by id. */
export const claimantShape = {
  executionId: field.executionId,
  /** The grant to use; absent: whichever the worker has. */
  grantId: field.uuid.optional(),
  /** The expected lane; another one is refused as `invalid_input`. */
  laneId: field.laneId.optional(),
  workerId: field.workerId,
  workerInstanceId: field.workerInstanceId,
  /** Minted by the caller, like the attempt. */
  leaseId: field.uuid,
  leaseTtlMs: field.leaseTtlMs.default(DEFAULTS.leaseTtlMs),
};

/** Wire form. */
export const CLAIM_WIRE_SHARED = [{ worker: ['workerId', 'workerInstanceId'] }, 'laneId', 'leaseTtlMs'] as const;

/** An execution with its new owner. */
type Taken = ClaimedExecution & { readonly kind: 'claimed' };

const NO_IDS = { leaseId: '', attemptId: '' };

function readTaken(answer: AnswerReader): object {
  const leaseExpiresAt = answer.number();
  return { kind: 'claimed', ...readExecution(answer, readId(answer), leaseExpiresAt, NO_IDS) };
}

/** The outcomes of claims by id: the kind of claim, and the type of attempt. */
const begun = <const Kind extends string, const Type extends string>(kinds: readonly Kind[], types: readonly Type[]) =>
  withReader(
    claimedExecution.extend({
      kind: z.literal('claimed'),
      claimKind: z.enum(kinds),
      attemptType: z.enum(types).optional(),
    }),
    readTaken,
  );
const FRESH_TYPES = ['initial', 'retry', 'replay'] as const;
export const takenFresh = begun(['fresh'], FRESH_TYPES);
export const takenAgain = begun(['reclaimed'], ['reclaim']);
export const takenAnyhow = begun(['fresh', 'resumed'], FRESH_TYPES);
/** The interrupted attempt is resumed. */
export const takenUp = withReader(
  claimedExecution.omit({ attemptType: true }).extend({ kind: z.literal('claimed'), claimKind: z.enum(['resumed']) }),
  readTaken,
);

interface Claimant {
  readonly grantId?: string | undefined;
  readonly workerId: string;
  readonly workerInstanceId: string;
}

/** Refuses a caller whose grant is missing, used or lapsed. */
export function grantVerdict(
  execution: ReadonlyExecution,
  { grantId, workerId, workerInstanceId }: Claimant,
  now: number,
): Rejected<'invalid_claim_grant' | 'claim_grant_expired'> | undefined {
  if (
    !isGranted(execution) ||
    execution.grantWorkerId !== workerId ||
    (grantId !== undefined && grantId !== execution.grantId) ||
    (execution.grantIsStrict && workerInstanceId !== execution.grantWorkerInstanceId)
  )
    return reject('invalid_claim_grant');
  return present(execution.grantExpiresAt) < now ? reject('claim_grant_expired') : undefined;
}

interface NewOwner {
  readonly workerId: string;
  readonly workerInstanceId: string;
  readonly leaseTtlMs: number;
  readonly leaseId: string;
  /** For a new attempt; a resumed one keeps its id. */
  readonly attemptId: string;
}

/** Makes the claimant the owner. */
export function takeOver<Outcome extends object>(
  view: View,
  execution: ReadonlyExecution,
  owner: NewOwner,
  now: number,
): Accepted<Outcome> {
  const { leaseId, attemptId } = owner;
  const claim = { ...owner, ahead: false, claims: [{ leaseId, attemptId }] };
  const remainingMs = attemptTimeOf(execution);
  const claimed = acquire(view, execution, claim, { position: 0, now, remainingMs });
  return accept(acquired(claimed) as Outcome, acquisitionOf(claimed, claim, now));
}

const acquired = (claimed: ClaimedExecution): object => ({ kind: 'claimed', ...claimed }) satisfies Taken;

/** Whether this same call took the execution before: its lease is in force. */
export const isOwnedBy = (execution: ReadonlyExecution, leaseId: string, now: number): boolean =>
  execution.situation === 'running' && execution.currentLeaseId === leaseId && (execution.dueAt ?? 0) > now;

/** The outcome of that first call. */
export function takenBefore<Outcome extends object>(
  view: View,
  execution: ReadonlyExecution,
  claimKind: ClaimedExecution['claimKind'],
): Accepted<Outcome> {
  const { executionId, totalAttemptCount } = execution;
  const claimed: ClaimedExecution = {
    executionId,
    leaseId: present(execution.currentLeaseId),
    leaseEpoch: execution.currentLeaseEpoch,
    attemptIndex: totalAttemptCount - 1,
    attemptId: present(execution.currentAttemptId),
    claimKind,
    attemptType: typeOf(execution, claimKind),
    leaseExpiresAt: present(execution.dueAt),
    attemptTimeoutAt: execution.attemptTimeoutAt,
    attemptTimeoutRemainingMs: execution.attemptTimeoutRemainingMs,
    executionDeadlineAt: execution.executionDeadlineAt,
    executionKind: execution.executionKind,
    priority: execution.priority,
    payloadEncoding: execution.payloadEncoding,
    tags: { ...execution.tags },
    payloadBytes: execution.payloadBytes,
    inputPayload: carriedInput(view, execution),
    earlier: earlierOf(view, execution, execution.currentLeaseEpoch),
  };
  return accept(acquired(claimed) as Outcome);
}

/** The type of attempt that the last claim began. Every replay resets the counts of a run. */
function typeOf(
  { retryCount, replayCount }: ReadonlyExecution,
  claimKind: ClaimedExecution['claimKind'],
): ClaimedExecution['attemptType'] {
  if (claimKind === 'resumed') return undefined;
  if (claimKind === 'reclaimed') return 'reclaim';
  if (retryCount > 0) return 'retry';
  return replayCount > 0 ? 'replay' : 'initial';
}

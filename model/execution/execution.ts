/**
 * An execution: one run of some work, from its creation to its purge. These are the stored facts; everything else
 * that the contract shows (state vector, completion time, lease times) is derived from them in `projections.ts`.
 */
import type { ExecutionPolicy } from './policy.js';
import type { NextAttempt, Situation } from './situation.js';

export interface Execution {
  readonly executionId: string;
  readonly namespace: string;
  readonly laneId: string;
  readonly executionKind: string;
  readonly creatorIdentity: string;
  /** Ascending by bytes. A worker may run the execution if it offers all of them. */
  readonly requiredCapabilities: readonly string[];
  /** In key order. */
  readonly tags: Readonly<Record<string, string>>;
  readonly policy: ExecutionPolicy | undefined;
  /** Size of the input payload, bytes; the bytes themselves live beside the state. */
  readonly payloadBytes: number;
  readonly payloadEncoding: string | undefined;
  readonly createdAt: number;
  /** Time at which the execution ends `expired` whatever it does. */
  readonly executionDeadlineAt: number | undefined;

  priority: number;
  situation: Situation;
  /** What the next claim starts; meaningful while runnable, `first` otherwise. */
  nextAttempt: NextAttempt;
  /**
   * The time that belongs to the situation: expiry of the lease while active, end of the delay while delayed,
   * time of the purge while terminal, unset while ready.
   */
  dueAt: number | undefined;
  /** Last change of the situation: also the time of completion, of a noticed lapse, of a revocation. */
  lastTransitionAt: number;
  /** Time of the first claim. */
  startedAt: number | undefined;

  /** Attempts so far; the current one has index `totalAttemptCount - 1`. */
  totalAttemptCount: number;
  /** Kept after the attempt ended, so that a repeated final call can be recognised. */
  currentAttemptId: string | undefined;
  /** When the current attempt times out; set while active. */
  attemptTimeoutAt: number | undefined;
  /** What is left of the attempt's time while it is parked, ms. */
  attemptTimeoutRemainingMs: number | undefined;

  currentLeaseId: string | undefined;
  /** Acquisitions so far; never decreases. */
  currentLeaseEpoch: number;
  currentWorkerId: string | undefined;
  currentWorkerInstanceId: string | undefined;
  leaseLastRenewedAt: number | undefined;
  leaseRevokeReason: string | undefined;

  retryCount: number;
  leaseReclaimCount: number;
  leaseReleaseCount: number;

  failureReason: string | undefined;
  failureCategory: string | undefined;
  cancellationReason: string | undefined;
  cancelledBy: string | undefined;

  progressPct: number | undefined;
  progressMessage: string | undefined;
  progressUpdatedAt: number | undefined;

  /** Size of the result, bytes; unset when the execution completed without one. */
  resultBytes: number | undefined;
  resultEncoding: string | undefined;
}

/** The execution with its derived fields stripped of mutability: what decisions see. */
export type ReadonlyExecution = Readonly<Execution>;

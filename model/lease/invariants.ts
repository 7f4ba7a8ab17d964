/** What holds for every lease, and for the succession of owners in the log. Source: spec 01, 04 and 05, the sections named Invariants. */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isActive, isReclaimable } from '../execution/situation.js';
import type { ExecutionInvariant } from '../specification/invariant.js';
import { DEFAULTS, LIMITS } from '../limits.js';
import { isAcquisition, type OwnershipChange, type Tally } from '../specification/tally.js';
import type { LogRule } from '../specification/replay.js';
import { SUSPENSION_TIMEOUT } from '../suspension/timeout.js';
import type { EventNamed } from '../events.js';
import { MAX_RECLAIMS_EXCEEDED } from '../schedule/reclaim-cap.js';

const owned = ({ currentLeaseId, currentWorkerId, currentWorkerInstanceId }: ReadonlyExecution): number =>
  Number(currentLeaseId !== undefined) +
  Number(currentWorkerId !== undefined) +
  Number(currentWorkerInstanceId !== undefined);

const reclaimCapOf = ({ policy }: { policy?: ReadonlyExecution['policy'] }): number =>
  policy?.maxReclaimCount ?? DEFAULTS.maxReclaimCount;

export const leaseInvariants: readonly ExecutionInvariant[] = [
  {
    name: 'an active execution has a lease, a worker and an attempt; no other has a lease or a worker',
    holds: (it) =>
      isActive(it)
        ? owned(it) === 3 && it.currentAttemptId !== undefined && it.totalAttemptCount > 0 && it.currentLeaseEpoch > 0
        : owned(it) === 0,
  },
  {
    name: 'facts of a lease are kept only while there is one',
    holds: (it) => isActive(it) || it.leaseLastRenewedAt === undefined,
  },
  {
    name: 'a renewal lies between the beginning of the lease and now',
    ofTime: true,
    holds: (it, { now }) =>
      it.leaseLastRenewedAt === undefined ||
      (it.leaseLastRenewedAt <= now && it.leaseLastRenewedAt >= (it.startedAt ?? 0)),
  },
  {
    name: 'a reason of revocation is kept only while the lease is revoked',
    holds: (it) => it.leaseRevokeReason === '' || it.situation === 'lease_revoked',
  },
  {
    name: 'a lease is longer than the shortest one',
    ofTime: true,
    holds: (it) => it.situation !== 'running' || (it.dueAt ?? 0) >= it.lastTransitionAt + LIMITS.minLeaseTtlMs,
  },
  {
    name: 'a lease that expired ran out before that was noticed',
    ofTime: true,
    holds: (it) => it.situation !== 'lease_expired' || (it.dueAt ?? 0) <= it.lastTransitionAt,
  },
  {
    name: 'an attempt timeout is armed only while active',
    holds: (it) => it.attemptTimeoutAt === undefined || isActive(it),
  },
  {
    name: 'the rest of an attempt is kept only while its clock stands',
    holds: (it) =>
      it.attemptTimeoutRemainingMs === undefined ||
      it.nextAttempt === 'resume' ||
      (isActive(it) && it.attemptTimeoutAt === undefined),
  },
  { name: 'there are no more attempts than acquisitions', holds: (it) => it.currentLeaseEpoch >= it.totalAttemptCount },
  { name: 'the reclaim cap holds', holds: (it) => it.leaseReclaimCount <= reclaimCapOf(it) },
  {
    name: 'recent losses are some of all, the last one among them',
    holds: ({ leaseReclaimCount, recentLossCount, lastLostAt }, { now }) =>
      leaseReclaimCount === 0
        ? recentLossCount === 0 && lastLostAt === undefined
        : recentLossCount >= 1 && recentLossCount <= leaseReclaimCount && (lastLostAt ?? Infinity) <= now,
  },
  {
    name: 'a lost lease has its length',
    holds: ({ situation, leaseReclaimCount, lostLeaseMs = 0 }) =>
      (leaseReclaimCount === 0 && !isReclaimable(situation)) || lostLeaseMs > 0,
  },
  {
    name: 'the cap on hand-backs holds',
    holds: (it) => it.leaseReleaseCount <= (it.policy?.maxReleaseCount ?? DEFAULTS.maxReleaseCount),
  },
  {
    name: 'epoch, reclaims and hand-backs are those that the events count',
    holds: (it, { replay: { tallies } }) => {
      const tally = tallies.get(it.executionId);
      return (
        tally === undefined ||
        (it.currentLeaseEpoch === tally.acquisitions &&
          it.leaseReclaimCount === tally.reclaims &&
          it.leaseReleaseCount === tally.releases)
      );
    },
  },
  {
    name: 'the lease in force is that of the last acquisition',
    holds: (it, { replay: { tallies } }) => {
      const tally = tallies.get(it.executionId);
      if (tally === undefined || !isActive(it)) return true;
      const { lease } = tally;
      return (
        (it.situation === 'running') === (tally.ownership === 'held') &&
        lease?.leaseId === it.currentLeaseId &&
        lease?.leaseEpoch === it.currentLeaseEpoch &&
        lease?.attemptId === it.currentAttemptId &&
        lease?.expiresAt === it.dueAt
      );
    },
  },
];

/** Events that need an owner. */
const WORKS: ReadonlySet<string> = new Set<string>([
  'lease_renewed',
  'attempt_begun',
  'progress_updated',
  'step_recorded',
  'execution_completed',
  'execution_failed',
  'retry_scheduled',
  'execution_delayed',
  'execution_suspended',
]);

/** What may happen between two acquisitions (spec 05 invariant 22). */
const SUCCESSIONS: ReadonlySet<string> = new Set<string>([
  'released',
  'expired',
  'revoked',
  'expired,released',
  'revoked,released',
]);

/** Events by which an owner parks its attempt. */
const PARKS: ReadonlySet<string> = new Set<string>(['lease_released', 'execution_delayed', 'execution_suspended']);

/** Whether time ended a suspension, which has no owner. */
const endsSuspension = ({ ownership }: Tally, { failureCategory }: EventNamed<'execution_failed'>): boolean =>
  ownership === 'none' && failureCategory === SUSPENSION_TIMEOUT;

const lastChange = ({ changes }: Tally): OwnershipChange | undefined => changes.at(-1);

const inForce = (tally: Tally, at: number): boolean =>
  tally.ownership === 'held' && tally.lease !== undefined && at < tally.lease.expiresAt;

const timedOut = (tally: Tally, at: number): boolean =>
  tally.ownership !== 'none' && tally.attemptTimeoutAt !== undefined && at >= tally.attemptTimeoutAt;

const isLeaseLength = (ms: number): boolean => ms >= LIMITS.minLeaseTtlMs && ms <= LIMITS.maxLeaseTtlMs;

export const leaseRules: readonly LogRule[] = [
  {
    name: 'at most one lease is live: owned work is not claimed',
    holds: ({ event, past }) => !isAcquisition(event) || past?.ownership !== 'held',
  },
  {
    name: 'epochs increase by one with every acquisition',
    holds: ({ event, past }) => !isAcquisition(event) || event.leaseEpoch === (past?.acquisitions ?? 0) + 1,
  },
  {
    name: 'between two acquisitions lies one end of an ownership',
    holds: ({ event, past }) =>
      !isAcquisition(event) ||
      past === undefined ||
      (past.acquisitions === 0 ? past.changes.length === 0 : SUCCESSIONS.has(past.changes.join(','))),
  },
  {
    name: 'only a lost ownership is reclaimed',
    holds({ event, past }) {
      if (!isAcquisition(event) || past === undefined) return true;
      const lost = lastChange(past) === 'expired' || lastChange(past) === 'revoked';
      return (event.type === 'execution_claimed' && event.attemptType === 'reclaim') === lost;
    },
  },
  {
    name: 'an acquisition begins the kind of attempt that was pending',
    holds: ({ event, past }) =>
      !isAcquisition(event) ||
      past === undefined ||
      past.next === (event.type === 'execution_resumed' ? 'resume' : event.attemptType),
  },
  {
    name: 'a claim adds one attempt, a resumption none',
    holds({ event, past }) {
      if (!isAcquisition(event) || past === undefined) return true;
      // A claim repeated after a lost reply has the same ids, so attempts are told apart by index and epoch.
      if (event.type === 'execution_claimed') return event.attemptIndex === past.attempts;
      return event.attemptIndex === past.attempts - 1 && event.attemptId === past.lease?.attemptId;
    },
  },
  {
    name: 'a lease has a legal length',
    holds: ({ event }) => !isAcquisition(event) || isLeaseLength(event.leaseExpiresAt - event.at),
  },
  {
    name: 'a renewal makes a lease no shorter',
    holds: ({ event, past }) =>
      event.type !== 'lease_renewed' ||
      (event.leaseExpiresAt >= (past?.lease?.expiresAt ?? 0) &&
        event.leaseExpiresAt - event.at >= LIMITS.minLeaseTtlMs),
  },
  {
    name: 'an owner acts before its lease expires, and never after',
    holds({ event, past }) {
      switch (event.type) {
        case 'lease_renewed':
        case 'attempt_begun':
        case 'progress_updated':
        case 'step_recorded':
        case 'execution_completed':
        case 'execution_delayed':
        case 'execution_suspended':
        case 'lease_released':
          return past !== undefined && inForce(past, event.at);
        case 'retry_scheduled':
          return past !== undefined && (inForce(past, event.at) || timedOut(past, event.at));
        case 'execution_failed':
          return (
            past !== undefined &&
            (inForce(past, event.at) ||
              past.ownership === 'expired' ||
              past.ownership === 'revoked' ||
              endsSuspension(past, event))
          );
        default:
          return true;
      }
    },
  },
  {
    name: 'no owner acts on an attempt, or an execution, that has timed out',
    holds({ event, past }) {
      if (past === undefined || !WORKS.has(event.type) || past.ownership !== 'held') return true;
      if (event.type === 'retry_scheduled' && timedOut(past, event.at)) return true;
      return event.at < (past.attemptTimeoutAt ?? Infinity) && event.at < (past.executionDeadlineAt ?? Infinity);
    },
  },
  {
    name: 'a lost execution fails only at the reclaim cap',
    holds({ event, past }) {
      if (event.type !== 'execution_failed' || past === undefined || past.ownership === 'held') return true;
      if (endsSuspension(past, event)) return true;
      // Without a cap in the policy, a caller of reclaimExecution may lower the default.
      const cap = past.created.policy?.maxReclaimCount ?? 0;
      return event.failureCategory === MAX_RECLAIMS_EXCEEDED && past.reclaims >= cap;
    },
  },
  {
    name: 'reclaims stay below the cap',
    holds: ({ event, past }) =>
      event.type !== 'execution_claimed' ||
      event.attemptType !== 'reclaim' ||
      past === undefined ||
      past.reclaims < reclaimCapOf(past.created),
  },
  {
    name: 'a lease expires when it is due, and only while it has an owner',
    holds: ({ event, past }) =>
      event.type !== 'lease_expired' || (past?.ownership === 'held' && event.at >= (past.lease?.expiresAt ?? 0)),
  },
  {
    name: 'only a lease with an owner is revoked',
    holds: ({ event, past }) => event.type !== 'lease_revoked' || past?.ownership === 'held',
  },
  {
    name: 'a parked attempt keeps the rest of its time, and gets it back',
    holds({ event, past }) {
      if (past === undefined) return true;
      if (PARKS.has(event.type)) {
        const { attemptTimeoutAt: endsAt, remainingMs } = past;
        const kept = (event as EventNamed<'execution_delayed'>).attemptTimeoutRemainingMs;
        return kept === (endsAt === undefined ? remainingMs : Math.max(0, endsAt - event.at));
      }
      if (event.type === 'attempt_begun') return event.attemptTimeoutAt === event.at + (past.remainingMs ?? Number.NaN);
      if (!isAcquisition(event)) return true;
      const timeMs =
        event.type === 'execution_resumed' ? past.remainingMs : past.created.policy?.timeoutPolicy?.attemptTimeoutMs;
      if (timeMs === undefined)
        return event.attemptTimeoutAt === undefined && event.attemptTimeoutRemainingMs === undefined;
      // The attempt's timeout is stopped because the attempt begins later than its claim, or runs.
      const isStopped = event.attemptTimeoutAt === undefined && event.attemptTimeoutRemainingMs === timeMs;
      const runs = event.attemptTimeoutAt === event.at + timeMs && event.attemptTimeoutRemainingMs === undefined;
      return isStopped || (runs && past.created.payloadBytes <= LIMITS.maxClaimedInputBytes);
    },
  },
];

/** What holds for every execution. Source: spec 01 and 04, the sections named Invariants. */
import { present } from '../core/present.js';
import { compareBytes } from '../ids.js';
import { DEFAULTS, KEEP_FOR_GOOD, LIMITS, MIN_RETENTION_MS, RETENTION_SLOT_MS } from '../limits.js';
import type { ExecutionInvariant } from '../specification/invariant.js';
import type { ReadonlyExecution } from './facts.js';
import { isLegalVector, ownershipIsNamed } from './legal-vector.js';
import { isBlocked, isDelayed, isHeld, isRunnable, isTerminal, stateVector } from './situation.js';

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** Whether a terminal execution is purged at the end of the retention slot in which its retention ends (ruling 24). */
function retentionHolds(it: ReadonlyExecution): boolean {
  const retentionMs = it.policy?.streamPolicy?.retentionTtlMs;
  const { dueAt: purgeAt } = it;
  // Kept for good, by its policy or by the deployment.
  if (purgeAt === undefined) return retentionMs === undefined || retentionMs === KEEP_FOR_GOOD;
  if (retentionMs === KEEP_FOR_GOOD || purgeAt % RETENTION_SLOT_MS !== 0) return false;
  const keptUntil = it.idempotencyExpiresAt ?? 0;
  const least = Math.max(it.lastTransitionAt + Math.max(retentionMs ?? 0, MIN_RETENTION_MS), keptUntil);
  return purgeAt >= least && (retentionMs === undefined || purgeAt < least + RETENTION_SLOT_MS);
}

/** Whether the execution has only been created, claimed and edited: its history follows from its facts. */
function isBlank(it: ReadonlyExecution): boolean {
  return (
    it.retryCount + it.leaseReclaimCount + it.leaseReleaseCount === 0 &&
    it.failureCategory === undefined &&
    it.cancelledBy === undefined &&
    it.resultBytes === undefined &&
    it.resultEncoding === undefined &&
    it.progressUpdatedAt === undefined
  );
}

/** Attempts begin with the first claim, with every claimed retry, and with every reclaim (spec 04 invariant 12). */
function attemptsAddUp(it: ReadonlyExecution): boolean {
  // A replay resets the counts; then only the log has the sum.
  if (it.replayCount > 0) return true;
  const begun = it.totalAttemptCount - Number(it.startedAt !== undefined) - it.leaseReclaimCount;
  if (!isTerminal(it.situation)) return begun === it.retryCount - Number(it.nextAttempt === 'retry');
  return begun === it.retryCount || begun === it.retryCount - 1;
}

export const executionInvariants: readonly ExecutionInvariant[] = [
  {
    name: 'the state vector is a legal combination',
    holds: (it) => isLegalVector(stateVector(it)) && ownershipIsNamed(it),
  },
  {
    name: 'a time belongs to every situation but ready, blocked and, when it lasts for good, suspended or terminal',
    holds: (it) =>
      isTerminal(it.situation) ||
      it.situation === 'suspended' ||
      (it.dueAt === undefined) ===
        (it.situation === 'ready' || it.situation === 'blocked_dependencies' || isBlocked(it.situation)),
  },
  {
    name: 'a delay is stored exactly while the execution waits for it, that of a retry until its claim',
    holds(it) {
      if (isDelayed(it.situation)) return it.delayUntil === it.dueAt;
      if (isRunnable(it.situation) && it.nextAttempt === 'retry') return it.delayUntil !== undefined;
      // Blocked by a dependency, it keeps its remaining time.
      return it.situation === 'blocked_dependencies' || it.delayUntil === undefined;
    },
  },
  {
    name: 'an interrupted attempt waits only while suspended, ready, delayed or blocked',
    holds: (it) =>
      it.nextAttempt !== 'resume' ||
      it.situation === 'suspended' ||
      it.situation === 'ready' ||
      it.situation === 'delayed' ||
      it.situation === 'resume_delay' ||
      it.situation === 'blocked_dependencies' ||
      isBlocked(it.situation),
  },
  {
    name: 'a retry waits only in backoff, ready or blocked',
    holds: (it) =>
      it.nextAttempt !== 'retry' ||
      it.situation === 'retry_backoff' ||
      it.situation === 'ready' ||
      it.situation === 'blocked_dependencies' ||
      isBlocked(it.situation),
  },
  {
    name: 'backoff is followed by a retry',
    holds: (it) => it.situation !== 'retry_backoff' || it.nextAttempt === 'retry',
  },
  {
    name: 'a first attempt is pending if and only if there was none, except before a replay',
    holds: (it) =>
      !isRunnable(it.situation) ||
      it.nextAttempt === 'replay' ||
      (it.nextAttempt === 'first') === (it.totalAttemptCount === 0),
  },
  {
    name: 'a pending replay is counted, and nothing of the run before it is left',
    holds: (it) => it.nextAttempt !== 'replay' || (it.replayCount > 0 && isBlank(it)),
  },
  {
    name: 'an execution was started if and only if it has attempts',
    holds: (it) => (it.startedAt !== undefined) === it.totalAttemptCount > 0,
  },
  {
    name: 'an execution has a last attempt if and only if it was started',
    holds: (it) => (it.currentAttemptId !== undefined) === (it.startedAt !== undefined),
  },
  { name: 'attempts are the first one, the retries that began and the reclaims', holds: attemptsAddUp },
  {
    name: 'counters are whole numbers, never negative',
    holds: (it) =>
      [
        it.totalAttemptCount,
        it.currentLeaseEpoch,
        it.retryCount,
        it.leaseReclaimCount,
        it.recentLossCount,
        it.leaseReleaseCount,
        it.replayCount,
        it.payloadBytes,
      ].every(isCount),
  },
  {
    name: 'times are in order: created, started, changed, now',
    ofTime: true,
    holds: (it, { now }) =>
      it.createdAt <= (it.startedAt ?? it.createdAt) &&
      (it.startedAt ?? it.createdAt) <= it.lastTransitionAt &&
      it.lastTransitionAt <= now,
  },
  {
    name: 'the retry cap holds, except for retries that operators allowed',
    holds: (it, { replay: { tallies } }) => {
      const overrides = tallies.get(it.executionId)?.overrides ?? Infinity;
      return it.retryCount - overrides <= (it.policy?.retryPolicy?.maxRetries ?? 0);
    },
  },
  {
    name: 'a backoff ends when it began or later',
    ofTime: true,
    holds: (it) => it.situation !== 'retry_backoff' || (it.dueAt ?? 0) >= it.lastTransitionAt,
  },
  {
    name: 'a result belongs to a completed execution',
    holds: (it) =>
      (it.resultBytes === undefined && it.resultEncoding === undefined) ||
      (it.situation === 'completed' && (it.resultBytes ?? 0) <= LIMITS.maxPayloadBytes),
  },
  {
    name: 'a failure that has a reason or a detail has a category',
    holds: (it) => (it.failureReason === '' && it.failureDetail === undefined) || it.failureCategory !== undefined,
  },
  {
    name: 'a failure is stored only while it is the latest outcome',
    holds: (it) => {
      if (it.situation === 'failed' || it.situation === 'expired' || it.nextAttempt === 'retry')
        return it.failureCategory !== undefined;
      return it.failureCategory === undefined || (it.situation !== 'completed' && it.retryCount > 0);
    },
  },
  {
    name: 'a cancellation has a reason and a canceller',
    holds: (it) =>
      (it.situation === 'cancelled') === (it.cancelledBy !== undefined) &&
      (it.cancellationReason === '' || it.cancelledBy !== undefined),
  },
  {
    name: 'a hold has a time and a holder, and ends with the execution',
    ofTime: true,
    holds: (it, { now }) =>
      it.heldAt === undefined
        ? it.heldBy === undefined && it.holdReason === ''
        : it.heldBy !== undefined && !isTerminal(it.situation) && it.heldAt >= it.createdAt && it.heldAt <= now,
  },
  {
    name: 'the detail of a block is stored only while the execution is blocked',
    holds: (it) => it.blockingDetail === '' || isBlocked(it.situation),
  },
  {
    name: 'an execution is blocked if and only if its events block it',
    holds: (it, { replay: { tallies } }) => {
      const tally = tallies.get(it.executionId);
      return tally === undefined || isBlocked(it.situation) === tally.blocked;
    },
  },
  {
    name: 'an execution is held if and only if its events hold it',
    holds: (it, { replay: { tallies } }) => {
      const tally = tallies.get(it.executionId);
      return tally === undefined || isHeld(it) === tally.held;
    },
  },
  {
    name: 'priority is in its range',
    holds: (it) => it.priority >= LIMITS.minPriority && it.priority <= LIMITS.maxPriority,
  },
  {
    name: 'a terminal execution is purged at the end of the slot in which its retention ends',
    holds: (it) => !isTerminal(it.situation) || retentionHolds(it),
  },
  {
    name: 'progress belongs to an attempt',
    ofTime: true,
    holds: (it, { now }) =>
      it.progressUpdatedAt === undefined
        ? it.progressPct === undefined && it.progressMessage === undefined
        : it.totalAttemptCount > 0 && it.progressUpdatedAt >= (it.startedAt ?? 0) && it.progressUpdatedAt <= now,
  },
  {
    name: 'required capabilities are a set in byte order',
    holds: ({ requiredCapabilities }) =>
      requiredCapabilities.every(
        (token, i) => i === 0 || compareBytes(present(requiredCapabilities[i - 1]), token) < 0,
      ),
  },
  { name: 'the lane of an execution is known', holds: (it, { state }) => state.tables.lane.has(it.laneId) },
  {
    name: 'facts of the creation never change',
    holds: (it, { replay: { tallies } }) => {
      const created = tallies.get(it.executionId)?.created;
      return (
        created === undefined ||
        (it.namespace === created.namespace &&
          it.laneId === created.laneId &&
          it.executionKind === created.executionKind &&
          it.creatorIdentity === created.creatorIdentity &&
          it.createdAt === created.at &&
          it.payloadBytes === created.payloadBytes &&
          it.payloadEncoding === created.payloadEncoding &&
          sameText(it.policy, created.policy) &&
          sameText(it.requiredCapabilities, created.requiredCapabilities))
      );
    },
  },
  {
    name: 'attempts, retries and replays are those that the events count',
    holds: (it, { replay: { tallies } }) => {
      const tally = tallies.get(it.executionId);
      return (
        tally === undefined ||
        (it.totalAttemptCount === tally.attempts && it.retryCount === tally.retries && it.replayCount === tally.replays)
      );
    },
  },
  { name: 'the replay cap holds', holds: (it) => it.replayCount <= replayCapOf(it) },
  {
    name: 'priority, tags and deadline are those that the events gave it',
    holds: (it, { replay: { tallies } }) => {
      const tally = tallies.get(it.executionId);
      return (
        tally === undefined ||
        (it.priority === tally.priority &&
          it.executionDeadlineAt === tally.executionDeadlineAt &&
          sameEntries(it.tags, tally.tags))
      );
    },
  },
  {
    name: 'tags are in key order, and not too many',
    holds: ({ tags }) => {
      const keys = Object.keys(tags);
      return (
        keys.length <= LIMITS.maxTags && keys.every((key, i) => i === 0 || compareBytes(present(keys[i - 1]), key) < 0)
      );
    },
  },
];

const replayCapOf = ({ policy }: ReadonlyExecution): number => policy?.maxReplayCount ?? DEFAULTS.maxReplayCount;

const sameEntries = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([key, value]) => b[key] === value);

const sameText = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

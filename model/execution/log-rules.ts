/** What holds for the life of every execution in the log. Source: spec 01 and 04, the sections named Invariants. */
import { OPERATOR } from '../grant/operator-claim.js';
import { DEFAULTS } from '../limits.js';
import { isAcquisition } from '../specification/tally.js';
import type { LogRule } from '../specification/replay.js';
import { idempotencyId, isValid } from './idempotency.js';

export const executionRules: readonly LogRule[] = [
  {
    name: 'an execution is created once, and before anything else happens to it',
    holds: ({ event, past }) => (event.type === 'execution_created') === (past === undefined),
  },
  {
    name: 'an execution ends once a run; after its end only its tags change and its streams close, until it is replayed or purged',
    holds: ({ event, past }) => past?.end === undefined || AFTER_AN_END.has(event.type),
  },
  {
    name: 'what is replayed had ended, and replays stay within the policy',
    holds({ event, past }) {
      if (event.type !== 'execution_replayed' || past === undefined) return true;
      const cap = past.created.policy?.maxReplayCount ?? DEFAULTS.maxReplayCount;
      return past.end !== undefined && past.replays < cap && event.replayCount === past.replays + 1;
    },
  },
  {
    name: 'a deadline that is over does not bound a replay',
    holds({ event, past }) {
      if (event.type !== 'execution_replayed' || past === undefined) return true;
      const { executionDeadlineAt: known } = past;
      return event.executionDeadlineAt === (known !== undefined && known > event.at ? known : undefined);
    },
  },
  {
    name: 'the priority of what runs, or has ended, stays as it is',
    holds: ({ event, past }) => event.type !== 'priority_changed' || past?.ownership === 'none',
  },
  {
    name: 'a purge follows the end of the execution and of its retention',
    holds: ({ event, past }) =>
      event.type !== 'execution_purged' || (past?.end?.purgeAt !== undefined && event.at >= past.end.purgeAt),
  },
  {
    name: 'neither held nor blocked work is claimed, but for an interrupted attempt that an operator takes up',
    holds({ event, past }) {
      if (!isAcquisition(event) || past === undefined) return true;
      const isTakenUp = event.type === 'execution_resumed' && past.grant?.workerId === OPERATOR;
      return !past.held && (isTakenUp || !past.blocked);
    },
  },
  {
    name: 'only work that could be claimed is blocked, and only what is blocked is unblocked',
    holds({ event, past }) {
      if (event.type === 'execution_unblocked') return past?.blocked === true;
      if (event.type !== 'execution_blocked' || past === undefined) return true;
      return past.ownership === 'none' && past.delayUntil === undefined && !past.held && !past.blocked;
    },
  },
  {
    name: 'a hold is made and released in turn',
    holds({ event, past }) {
      if (event.type === 'execution_held') return past?.held === false;
      return event.type !== 'hold_released' || past?.held === true;
    },
  },
  {
    name: 'a delay that is over was due',
    holds: ({ event, past }) =>
      event.type !== 'execution_promoted' || (past?.delayUntil !== undefined && event.at >= past.delayUntil),
  },
  {
    name: 'an execution is not owned while its delay runs',
    // An operator may take an interrupted attempt before its time.
    holds: ({ event, past }) =>
      past?.delayUntil === undefined ||
      !OF_OWNERS.has(event.type) ||
      (event.type === 'execution_resumed' && past.grant?.workerId === OPERATOR),
  },
  {
    name: 'a delay that is over when it is asked for is none',
    holds: ({ event }) =>
      event.type !== 'execution_created' || event.delayUntil === undefined || event.delayUntil > event.at,
  },
  {
    name: 'an execution expires when its attempt or its deadline is due',
    holds({ event, past }) {
      if (event.type !== 'execution_expired' || past === undefined) return true;
      // The suspension was due; the previous entry closed it.
      if (event.expireReason === 'suspension_timeout:expire') return past.ownership === 'none';
      const dueAt = event.expireReason === 'execution_deadline' ? past.executionDeadlineAt : past.attemptTimeoutAt;
      return dueAt !== undefined && event.at >= dueAt;
    },
  },
  {
    name: 'retries stay within the policy',
    holds({ event, past }) {
      if (event.type !== 'retry_scheduled' || event.overridden) return true;
      const retryPolicy = past?.created.policy?.retryPolicy;
      if (
        past === undefined ||
        retryPolicy === undefined ||
        past.retries >= retryPolicy.maxRetries ||
        event.delayUntil < event.at
      )
        return false;
      const { retryableCategories } = retryPolicy;
      return retryableCategories.length === 0 || retryableCategories.includes(event.failureCategory);
    },
  },
  {
    name: 'an idempotency key lives as long as its policy says',
    holds({ event }) {
      if (event.type !== 'execution_created') return true;
      const expiresAt =
        event.idempotencyKey === undefined
          ? undefined
          : event.at + (event.policy?.dedupWindowMs ?? DEFAULTS.dedupWindowMs);
      return event.idempotencyExpiresAt === expiresAt;
    },
  },
  {
    name: 'a live idempotency key makes no second execution',
    holds({ event, before }) {
      if (event.type !== 'execution_created' || event.idempotencyKey === undefined) return true;
      const first = before.tables.idempotency_key.get(idempotencyId(event.namespace, event.idempotencyKey));
      return first === undefined || !isValid(first, before.tables.execution.get(first.executionId), event.at);
    },
  },
];

const AFTER_AN_END: ReadonlySet<string> = new Set([
  'execution_purged',
  'execution_dropped',
  'execution_replayed',
  'tags_set',
  'stream_closed',
  'stream_removed',
  // Its upstreams end whether or not it has ended.
  'dependency_resolved',
  'dependencies_resolved',
  'dependency_reopened',
  'edge_group_fired',
]);

const OF_OWNERS: ReadonlySet<string> = new Set([
  'execution_claimed',
  'execution_resumed',
  'attempt_begun',
  'lease_renewed',
  'lease_expired',
  'lease_revoked',
  'lease_released',
  'progress_updated',
  'step_recorded',
  'execution_completed',
  'execution_failed',
  'retry_scheduled',
  'execution_delayed',
  'execution_suspended',
  'children_awaited',
]);

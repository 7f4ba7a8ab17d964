/** What can happen to an execution, apart from what happens to its lease. */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { tableOf } from '../core/tables.js';
import { bounds, EXECUTION, filter, given, naming } from './facts.js';
import { membershipFacet } from '../flow/facts.js';
import { policyText } from './policy-text.js';
import { BLOCK_REASONS, BLOCKS, SITUATIONS } from './situation.js';

/** Which limit expired an execution, and its letter in the log. */
export const EXPIRE_REASONS = {
  attempt_timeout: 'a',
  execution_deadline: 'd',
  'suspension_timeout:expire': 's',
} as const;
export type ExpireReason = keyof typeof EXPIRE_REASONS;

/** Reasons of a block have the letters of their situations. */
const BLOCK_LETTERS = tableOf(BLOCK_REASONS, (reason) => SITUATIONS[BLOCKS[reason]].letter);

const purgeAt = fact.optionalNumber;

export const executionEvents = {
  execution_created: event('execution_created', 'c', EXECUTION, {
    naming,
    given,
    /**
     * Its bounds, and its membership when it is created in a flow. `awaitsSeal`: it cannot be claimed before the flow is
     * sealed. `holdsKey`: its idempotency key names it for as long as it exists.
     */
    bounds: { ...bounds, ...membershipFacet, awaitsSeal: fact.flag(), holdsKey: fact.flag() },
    delay: { delayUntil: fact.optionalNumber() },
    needs: { requiredCapabilities: fact.list(), meters: fact.list() },
    long: { idempotencyKey: fact.optionalText(), tags: fact.map(), policy: fact.treeAs(policyText) },
  }),
  progress_updated: event('progress_updated', 'p', EXECUTION, {
    progress: { progressPct: fact.optionalNumber() },
    long: { progressMessage: fact.optionalText() },
  }),
  execution_completed: event('execution_completed', 'd', EXECUTION, {
    naming,
    /** `purgeAt` is absent when the execution is kept for good; so in every event that ends an execution. */
    ending: { purgeAt: purgeAt(), resultBytes: fact.optionalNumber(), resultEncoding: fact.optionalText() },
    filter,
    /** The admission of metered work, which the worker has not given back yet. An operator's completion has none. */
    metering: { admissionId: fact.optionalText() },
  }),
  /** An attempt failed and a retry will follow. */
  retry_scheduled: event('retry_scheduled', 'r', EXECUTION, {
    /** `overridden`: an operator supplied the retry policy. */
    failure: { failureCategory: fact.text(), delayUntil: fact.number(), overridden: fact.flag() },
    long: { failureReason: fact.words(), failureDetail: fact.optionalText() },
  }),
  /** The execution failed: no retry is left, or its lease lapsed too often. */
  execution_failed: event('execution_failed', 'f', EXECUTION, {
    naming,
    failure: { failureCategory: fact.text(), purgeAt: purgeAt() },
    long: { failureReason: fact.words(), failureDetail: fact.optionalText() },
    filter,
  }),
  execution_cancelled: event('execution_cancelled', 'x', EXECUTION, {
    naming,
    cancel: { cancelledBy: fact.text(), purgeAt: purgeAt() },
    long: { cancellationReason: fact.words() },
    filter,
  }),
  execution_expired: event('execution_expired', 'e', EXECUTION, {
    naming,
    expiry: { expireReason: fact.word(EXPIRE_REASONS), purgeAt: purgeAt() },
    filter,
  }),
  /** The worker parked its attempt until a time, after which the attempt resumes. */
  execution_delayed: event('execution_delayed', 'y', EXECUTION, {
    delay: { delayUntil: fact.number(), attemptTimeoutRemainingMs: fact.optionalNumber() },
  }),
  execution_promoted: event('execution_promoted', 'o', EXECUTION, {}),
  /** An operator keeps the execution from being claimed. */
  execution_held: event('execution_held', 'A', EXECUTION, {
    hold: { heldBy: fact.text() },
    long: { holdReason: fact.words() },
  }),
  hold_released: event('hold_released', 'B', EXECUTION, {
    hold: { releasedBy: fact.text() },
    long: { releaseReason: fact.words() },
  }),
  /** The priority was changed. */
  priority_changed: event('priority_changed', 'C', EXECUTION, {
    change: { priority: fact.counter(), requestedBy: fact.text() },
  }),
  /** A terminal execution runs again; the results of its last run are cleared. */
  execution_replayed: event('execution_replayed', 'D', EXECUTION, {
    replay: {
      /** Replays so far, this one included. */
      replayCount: fact.number(),
      requestedBy: fact.text(),
      /** The deadline from now on; absent when there is none or it is over. */
      executionDeadlineAt: fact.optionalNumber(),
      /** Whether recorded steps, waits and signals were discarded; otherwise the new run finds them. */
      checkpointsDiscarded: fact.flag(),
      /** Whether it had been skipped, because of what its dependencies did. */
      wasSkipped: fact.flag(),
    },
    long: { replayReason: fact.words() },
  }),
  /** Tags that were added or replaced. */
  tags_set: event('tags_set', 'E', EXECUTION, { long: { tags: fact.map() }, naming }),
  /** A scheduler took it out of its queue. */
  execution_blocked: event('execution_blocked', 'F', EXECUTION, {
    block: { blockingReason: fact.word(BLOCK_LETTERS) },
    long: { blockingDetail: fact.words() },
  }),
  execution_unblocked: event('execution_unblocked', 'G', EXECUTION, {}),
  execution_purged: event('execution_purged', 'g', EXECUTION, {}),
  /** An operator gave up an unreadable record, which may have been lost already. */
  execution_dropped: event('execution_dropped', 'K', EXECUTION, {
    request: { requestedBy: fact.text() },
    long: { dropReason: fact.words() },
  }),
} as const;

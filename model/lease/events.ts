/** What can happen to the lease of an execution. */
import { event } from '../core/event.js';
import * as fact from '../core/facts.js';
import { EXECUTION } from '../execution/facts.js';

/** Why an attempt was begun, and the letter under which that is logged. */
export const ATTEMPT_TYPES = { initial: 'i', retry: 'r', reclaim: 'c', replay: 'p' } as const;
const fence = { leaseEpoch: fact.number(), leaseId: fact.id(), attemptId: fact.id() };
const lease = { workerId: fact.text(), workerInstanceId: fact.text(), leaseExpiresAt: fact.number() };
const attempt = {
  attemptIndex: fact.counter(),
  /** Absent while the attempt's timeout is stopped, or without one. */
  attemptTimeoutAt: fact.optionalNumber(),
  /** The attempt's timeout while it is stopped, because the handler begins later than the claim, ms. */
  attemptTimeoutRemainingMs: fact.optionalNumber(),
};

/** The meters whose admission the lease id is; none for unmetered work, and for a claim by a grant. */
const metering = { meters: fact.list() };

export const leaseEvents = {
  /** A worker took the execution with a new attempt. */
  execution_claimed: event('execution_claimed', 'k', EXECUTION, {
    fence,
    lease,
    attempt: { attemptType: fact.choice(ATTEMPT_TYPES), ...attempt },
    metering,
  }),
  /** A worker took the execution and resumes its interrupted attempt. */
  execution_resumed: event('execution_resumed', 's', EXECUTION, { fence, lease, attempt, metering }),
  /** The handler of an attempt that was claimed before it could begin started: its timeout runs from now. */
  attempt_begun: event('attempt_begun', 'b', EXECUTION, { attempt: { attemptTimeoutAt: fact.number() } }),
  lease_renewed: event('lease_renewed', 'n', EXECUTION, { lease: { leaseExpiresAt: fact.number() } }),
  /** The engine recorded that the lease ran out; the execution waits to be reclaimed. */
  lease_expired: event('lease_expired', 'l', EXECUTION, {}),
  lease_revoked: event('lease_revoked', 'v', EXECUTION, { long: { reason: fact.words() } }),
  /** The worker handed the execution back unfinished; another worker resumes the attempt. */
  lease_released: event('lease_released', 'h', EXECUTION, {
    attempt: { attemptTimeoutRemainingMs: fact.optionalNumber() },
  }),
} as const;

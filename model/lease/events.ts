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
  /** Absent while the clock of the attempt stands, or when it has none. */
  attemptTimeoutAt: fact.optionalNumber(),
  /** The attempt's time while its clock stands: the claim was made ahead of its handler, ms. */
  attemptTimeoutRemainingMs: fact.optionalNumber(),
};

/** Whether the lease id is an admission: of a claim of metered work. */
const metering = { admitted: fact.flag() };

export const leaseEvents = {
  /** A worker took the execution and began a new attempt. */
  execution_claimed: event('execution_claimed', 'k', EXECUTION, {
    fence,
    lease,
    attempt: { attemptType: fact.choice(ATTEMPT_TYPES), ...attempt },
    metering,
  }),
  /** A worker took the execution and goes on with its interrupted attempt. */
  execution_resumed: event('execution_resumed', 's', EXECUTION, { fence, lease, attempt, metering }),
  /** The handler of an attempt that was claimed ahead began: its time runs from now. */
  attempt_begun: event('attempt_begun', 'b', EXECUTION, { attempt: { attemptTimeoutAt: fact.number() } }),
  lease_renewed: event('lease_renewed', 'n', EXECUTION, { lease: { leaseExpiresAt: fact.number() } }),
  /** The lease ran out and that was noticed; the execution waits to be reclaimed. */
  lease_expired: event('lease_expired', 'l', EXECUTION, {}),
  lease_revoked: event('lease_revoked', 'v', EXECUTION, { long: { reason: fact.words() } }),
  /** The worker handed the execution back unfinished; the attempt goes on elsewhere. */
  lease_released: event('lease_released', 'h', EXECUTION, {
    attempt: { attemptTimeoutRemainingMs: fact.optionalNumber() },
  }),
} as const;

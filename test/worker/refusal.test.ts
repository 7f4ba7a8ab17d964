/** What a refused renewal, progress or final call tells a handler: one table of all that speak of ownership. */
import { describe, expect, it } from 'vitest';
import { EngineError, type ErrorCode } from '../../model/errors.js';
import { abortCodeOf, speaksOfOwnership } from '../../src/worker/lease/refusal.js';

const IN_TIME = { attemptTimedOut: false, deadlinePassed: false, timeoutIsFirst: false };
const SHORT = { ...IN_TIME, timeoutIsFirst: true };
const LATE = { ...IN_TIME, attemptTimedOut: true };
const OVER = { ...IN_TIME, deadlinePassed: true };
const BOTH = { attemptTimedOut: true, deadlinePassed: true, timeoutIsFirst: true };

const refused = (code: ErrorCode, terminalOutcome?: string): EngineError =>
  new EngineError(code, 'x.', terminalOutcome === undefined ? {} : { detail: { terminalOutcome } });

describe('a refusal about ownership', () => {
  it.each([
    ['lease_revoked', undefined, IN_TIME, 'lease_revoked'],
    ['lease_expired', undefined, IN_TIME, 'lease_lost'],
    ['stale_lease', undefined, LATE, 'lease_lost'],
    ['execution_not_found', undefined, IN_TIME, 'lease_lost'],
    ['attempt_timed_out', undefined, IN_TIME, 'attempt_timeout'],
    ['execution_deadline_passed', undefined, IN_TIME, 'deadline'],
    ['stale_owner_cannot_append', undefined, IN_TIME, 'lease_lost'],
    ['stale_owner_cannot_append', undefined, LATE, 'attempt_timeout'],
    ['execution_not_active', undefined, IN_TIME, 'lease_lost'],
    ['execution_not_active', undefined, LATE, 'attempt_timeout'],
    ['execution_not_active', 'cancelled', LATE, 'cancelled'],
    ['execution_not_active', 'completed', IN_TIME, 'lease_lost'],
    // Expired by whichever of its ends is over by the worker's clock; by the deadline where both are, and by the first of
    // them where neither is yet.
    ['execution_not_active', 'expired', IN_TIME, 'deadline'],
    ['execution_not_active', 'expired', SHORT, 'attempt_timeout'],
    ['execution_not_active', undefined, SHORT, 'lease_lost'],
    ['execution_not_active', 'expired', OVER, 'deadline'],
    ['execution_not_active', 'expired', BOTH, 'deadline'],
    ['execution_not_active', 'expired', LATE, 'attempt_timeout'],
    ['stream_closed', 'cancelled', IN_TIME, 'cancelled'],
    ['stream_closed', 'expired', LATE, 'attempt_timeout'],
  ] as const)('%s, ended as %s, with %o, means %s', (code, terminalOutcome, timeouts, expected) => {
    const error = refused(code, terminalOutcome);
    expect(speaksOfOwnership(error)).toBe(true);
    expect(abortCodeOf(error, timeouts)).toBe(expected);
  });

  it.each(['call_timeout', 'transport_failed', 'invalid_input', 'server_memory_full'] as const)(
    'is not %s, which leaves the owner open',
    (code) => {
      expect(speaksOfOwnership(refused(code))).toBe(false);
      expect(abortCodeOf(refused(code), BOTH)).toBe(undefined);
    },
  );
});

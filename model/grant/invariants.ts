/** What holds for grants, in the state and in the log. Source: spec 05 section 14, invariants 9, 10, 11 and 19. */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isClaimable, isGranted, isHeld } from '../execution/situation.js';
import { LIMITS } from '../limits.js';
import type { ExecutionInvariant } from '../specification/invariant.js';
import { isAcquisition } from '../specification/tally.js';
import type { LogRule } from '../specification/replay.js';
import { OPERATOR } from './operator-claim.js';

const isWhole = (it: ReadonlyExecution): boolean =>
  it.grantId !== undefined && it.grantWorkerId !== undefined && it.grantWorkerInstanceId !== undefined;

const isNone = (it: ReadonlyExecution): boolean =>
  it.grantId === undefined &&
  it.grantWorkerId === undefined &&
  it.grantWorkerInstanceId === undefined &&
  !it.grantIsStrict;

export const grantInvariants: readonly ExecutionInvariant[] = [
  {
    name: 'a grant names its worker',
    holds: (it) => (isGranted(it) ? isWhole(it) : isNone(it)),
  },
  {
    name: 'only work that waits for a worker, or was lost, is granted, and not while it is held',
    holds: (it) => !isGranted(it) || (isClaimable(it.situation) && !isHeld(it)),
  },
  {
    name: 'an execution is granted if and only if its events grant it',
    holds(it, { replay: { tallies } }) {
      const tally = tallies.get(it.executionId);
      return (
        tally === undefined ||
        (it.grantExpiresAt === tally.grant?.expiresAt && it.grantWorkerId === tally.grant?.workerId)
      );
    },
  },
];

export const grantRules: readonly LogRule[] = [
  {
    name: 'a grant is issued only while no other grant is live',
    holds: ({ event, past }) =>
      event.type !== 'grant_issued' ||
      past === undefined ||
      past.grant === undefined ||
      past.grant.expiresAt < event.at,
  },
  {
    name: 'a grant is issued only for what can be claimed, or by an operator for an interrupted attempt',
    holds({ event, before }) {
      const granted = event.type === 'grant_issued' ? before.tables.execution.get(event.executionId) : undefined;
      if (event.type !== 'grant_issued' || granted === undefined) return true;
      if (isHeld(granted)) return false;
      return isClaimable(granted.situation) || (event.grantWorkerId === OPERATOR && granted.nextAttempt === 'resume');
    },
  },
  {
    name: 'a paused lane gives no grants, but to operators',
    holds({ event, before }) {
      const granted = event.type === 'grant_issued' ? before.tables.execution.get(event.executionId) : undefined;
      if (event.type !== 'grant_issued' || granted === undefined || event.grantWorkerId === OPERATOR) return true;
      return before.tables.lane.get(granted.laneId)?.laneState !== 'paused';
    },
  },
  {
    name: 'a grant has a legal length',
    holds: ({ event }) =>
      event.type !== 'grant_issued' ||
      (event.grantExpiresAt >= event.at && event.grantExpiresAt <= event.at + LIMITS.maxGrantTtlMs),
  },
  {
    name: 'a grant lapses only once it is over',
    holds: ({ event, past }) =>
      event.type !== 'grant_lapsed' || (past?.grant !== undefined && past.grant.expiresAt < event.at),
  },
  {
    name: 'granted work is claimed by the worker that was granted it, in time, and no grant is used twice',
    holds({ event, past, before }) {
      const taken = isAcquisition(event) ? before.tables.execution.get(event.executionId) : undefined;
      if (!isAcquisition(event) || taken === undefined || !isGranted(taken)) return true;
      return past?.grant !== undefined && past.grant.workerId === event.workerId && past.grant.expiresAt >= event.at;
    },
  },
];

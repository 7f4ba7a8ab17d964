/** The state classes of the contract: rows of its lifecycle table. */
import type { ReadonlyExecution } from '../model/execution/facts.js';
import { isHeld, isTerminal } from '../model/execution/situation.js';

/**
 * Ready (RW), ready to resume (RI), delayed (DW), parked until a time (DI), blocked (BW), blocked before it could be
 * resumed (BI), ready and held by an operator (BO), suspended (SW), owned (AL), lapsed and not yet noticed
 * (AX), lapsed (AE), revoked (AR), terminal by outcome (T...), and no execution at all.
 */
export const STATE_CLASSES = [
  'none',
  'RW',
  'RI',
  'DW',
  'DI',
  'BW',
  'BI',
  'BO',
  'SW',
  'AL',
  'AX',
  'AE',
  'AR',
  'Tcompleted',
  'Tfailed',
  'Tcancelled',
  'Texpired',
] as const;
export type StateClass = (typeof STATE_CLASSES)[number];

/** The class of an execution at a time. */
export function stateClassOf(execution: ReadonlyExecution | undefined, now: number): StateClass {
  if (execution === undefined) return 'none';
  const { situation, nextAttempt } = execution;
  if (isTerminal(situation)) return `T${situation as 'completed' | 'failed' | 'cancelled' | 'expired'}`;
  switch (situation) {
    case 'ready':
      if (isHeld(execution)) return 'BO';
      return nextAttempt === 'resume' ? 'RI' : 'RW';
    case 'delayed':
    case 'retry_backoff':
    case 'resume_delay':
      return nextAttempt === 'resume' ? 'DI' : 'DW';
    case 'blocked_budget':
    case 'blocked_quota':
    case 'blocked_route':
    case 'blocked_lane':
      return nextAttempt === 'resume' ? 'BI' : 'BW';
    case 'suspended':
      return 'SW';
    case 'lease_expired':
      return 'AE';
    case 'lease_revoked':
      return 'AR';
    default:
      return (execution.dueAt ?? 0) <= now ? 'AX' : 'AL';
  }
}

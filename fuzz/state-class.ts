/** The state classes of the contract: rows of its lifecycle table. */
import type { ReadonlyExecution } from '../model/execution/facts.js';
import { isHeld } from '../model/execution/situation.js';

/**
 * Ready (RW), ready to resume (RI), delayed (DW), parked until a time (DI), blocked (BW), blocked before it could be
 * resumed (BI), ready and held by an operator (BO), waiting for its dependencies (WD), waiting for its children (WC),
 * suspended (SW), owned (AL), lapsed and not yet noticed (AX), lapsed (AE), revoked (AR), terminal by outcome (T...),
 * and no execution at all.
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
  'WD',
  'WC',
  'SW',
  'AL',
  'AX',
  'AE',
  'AR',
  'Tcompleted',
  'Tfailed',
  'Tcancelled',
  'Texpired',
  'Tskipped',
] as const;
export type StateClass = (typeof STATE_CLASSES)[number];

const CLASSES: ReadonlySet<string> = new Set(STATE_CLASSES);
export const isStateClass = (name: string): name is StateClass => CLASSES.has(name);

/** The class of an execution at a time. */
export function stateClassOf(execution: ReadonlyExecution | undefined, now: number): StateClass {
  if (execution === undefined) return 'none';
  const { situation, nextAttempt } = execution;
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
    case 'blocked_dependencies':
      return nextAttempt === 'resume' ? 'WC' : 'WD';
    case 'suspended':
      return 'SW';
    case 'lease_expired':
      return 'AE';
    case 'lease_revoked':
      return 'AR';
    case 'running':
      return (execution.dueAt ?? 0) <= now ? 'AX' : 'AL';
    case 'completed':
    case 'failed':
    case 'cancelled':
    case 'expired':
    case 'skipped':
      return `T${situation}`;
  }
}

/**
 * What happens by itself. An entity has at most one entry in its partition's timers index: the earliest time at which
 * something is due for it. What that is follows from the entity, so the loop that applies due work knows no kinds.
 * Terminal executions are due in retention slots instead (`retention.ts`).
 */
import type { ReadonlyExecution } from '../execution/facts.js';
import { isActiveSituation, isDelayed, isGranted, isTerminal, type Situation } from '../execution/situation.js';

export type TimerKind =
  | 'execution_deadline'
  | 'attempt_timeout'
  | 'grant'
  | 'delay'
  | 'lease'
  | 'suspension'
  | 'waitpoint';

export interface Timer {
  readonly kind: TimerKind;
  readonly at: number;
}

/** The time of the next timer of an execution. */
export function nextTimerAt(execution: ReadonlyExecution): number | undefined {
  const { situation } = execution;
  if (isTerminal(situation)) return undefined;
  let at = execution.executionDeadlineAt;
  if (isActiveSituation(situation)) at = earlier(at, execution.attemptTimeoutAt);
  if (isGranted(execution)) at = earlier(at, lapseOf(execution));
  if (execution.pendingExpiresAt !== undefined) at = earlier(at, execution.pendingExpiresAt);
  return isTimed(situation) ? earlier(at, execution.dueAt) : at;
}

/** Whether the time of a situation is one at which something happens by itself. */
const isTimed = (situation: Situation): boolean =>
  situation === 'running' || isDelayed(situation) || situation === 'suspended';

/**
 * The next timer of an execution. On equal times the deadline wins, then the attempt timeout, then the rest: what
 * ends more comes first.
 */
export function nextTimer(execution: ReadonlyExecution): Timer | undefined {
  const at = nextTimerAt(execution);
  if (at === undefined) return undefined;
  if (execution.executionDeadlineAt === at) return { kind: 'execution_deadline', at };
  if (isActiveSituation(execution.situation) && execution.attemptTimeoutAt === at) {
    return { kind: 'attempt_timeout', at };
  }
  if (isGranted(execution) && lapseOf(execution) === at) return { kind: 'grant', at };
  if (!isTimed(execution.situation) || execution.dueAt !== at) return { kind: 'waitpoint', at };
  if (execution.situation === 'suspended') return { kind: 'suspension', at };
  return { kind: isDelayed(execution.situation) ? 'delay' : 'lease', at };
}

/** When a grant is over: it is good up to and including its last millisecond (spec 05 section 8.1). */
const lapseOf = ({ grantExpiresAt }: ReadonlyExecution): number => (grantExpiresAt as number) + 1;

/** The name of an entity in the timers index. */
export const timerMember = (kind: string, id: string): string => `${kind}:${id}`;

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  b === undefined || (a !== undefined && a <= b) ? a : b;

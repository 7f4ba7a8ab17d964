/**
 * Timers. An entity has at most one entry in the timers index of its partition: its earliest due time. What is due then
 * follows from the entity, so the timer loop is generic. Terminal executions are due in retention slots instead
 * (`retention.ts`).
 */
import { present } from '../core/present.js';
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

/** Whether something is due at the time of a situation. */
const isTimed = (situation: Situation): boolean =>
  situation === 'running' || isDelayed(situation) || situation === 'suspended';

/**
 * The next timer of an execution. At equal times the deadline comes first, then the attempt timeout, then the rest: the
 * one that ends more wins.
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

/** When a grant ends: one millisecond after its last usable one (spec 05 section 8.1). */
const lapseOf = ({ grantExpiresAt }: ReadonlyExecution): number => present(grantExpiresAt) + 1;

/** The name of an entity in the timers index. */
export const timerMember = (kind: string, id: string): string => `${kind}:${id}`;

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  b === undefined || (a !== undefined && a <= b) ? a : b;

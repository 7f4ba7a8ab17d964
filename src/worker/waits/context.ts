/** What a handler's context has for waiting; made when the handler asks for it. */
import type { Attempt } from '../attempt.js';
import { sleepOf, sleepUntilOf, type Sleep, type SleepUntil } from './sleep.js';
import { Waits, type WaitsDependencies } from './waits.js';

export interface WaitingContext {
  /**
   * Ends this run of the handler until the time is over, from milliseconds to years: no slot is held and no process need
   * live. Then the handler runs again from the beginning, and passes this sleep at once. The time stands from the first
   * call on. Once a handler waits, what is under way beside it is not waited for unless it is a step.
   * @throws InvalidDefinitionError for what is no duration
   * @example await sleep('3d');
   */
  readonly sleep: Sleep;
  /** The same until a time. @throws InvalidDefinitionError @example await sleepUntil(new Date('2027-01-01')); */
  readonly sleepUntil: SleepUntil;
}

/** The waiting members of the context of an attempt. */
export function waitingOf(attempt: Attempt, dependencies: WaitsDependencies): WaitingContext {
  let made: Waits | undefined;
  const waits = (): Waits => (made ??= new Waits(attempt, dependencies));
  return { sleep: sleepOf(waits), sleepUntil: sleepUntilOf(waits) };
}

/**
 * Detects code inside the function of a step. Checkpoints and waits are refused there, because later runs of the
 * handler do not call the function and so would not reach them.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { EngineError } from '../../../model/errors.js';
import type { Attempt } from '../attempt/attempt.js';
import { isBegun } from '../waits/lazy-promise.js';

interface Inside {
  readonly attempt: Attempt;
  readonly name: string;
}

const inside = new AsyncLocalStorage<Inside>();

/**
 * Runs the function of a step.
 * @throws EngineError `step_misused` if it returns a wait: who awaits that is outside of the function
 */
export const runInside = (attempt: Attempt, name: string, fn: () => unknown): unknown =>
  inside.run({ attempt, name }, () => {
    const value = fn();
    if (!isBegun(value)) refuseInside(attempt, 'A wait, or a use of children,');
    return value;
  });

/**
 * @param what the refused use, for the message: `step "b"`
 * @throws EngineError `step_misused` inside the function of a step of the same handler
 */
export function refuseInside(attempt: Attempt, what: string): void {
  const around = inside.getStore();
  if (around?.attempt !== attempt) return;
  throw new EngineError(
    'step_misused',
    `${what} is called inside the function of step "${around.name}", which is not run again once it has passed.`,
  );
}

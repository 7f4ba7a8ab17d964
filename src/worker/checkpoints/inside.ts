/** Whether code runs inside the function of a step: what is durable there is not seen by later runs of the handler. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { EngineError } from '../../../model/errors.js';
import type { Attempt } from '../attempt.js';

interface Inside {
  readonly attempt: Attempt;
  readonly name: string;
}

const inside = new AsyncLocalStorage<Inside>();

/** Runs the function of a step. */
export const runInside = <T>(attempt: Attempt, name: string, fn: () => T): T => inside.run({ attempt, name }, fn);

/**
 * @param what is asked for: `step "b"`
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

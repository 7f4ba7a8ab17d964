/** The signals that a run has received. */
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { receivedOf, type Signal } from '../../worker/waits/signals.js';
import { patiently, type Caller } from '../patience.js';

/** A signal that a run has received. */
export interface RunSignal extends Signal {
  /**
   * Whether it came before a wait for it: the next wait for its name takes it, or has taken it. Otherwise a wait
   * took it when it came.
   */
  readonly kept: boolean;
}

/** In the order in which they were accepted. @throws RunNotFoundError; EngineError `corruption` for an unreadable payload */
export async function* signalsOfRun(
  surroundings: Caller & { readonly backend: Backend },
  executionId: string,
): AsyncGenerator<RunSignal, void, undefined> {
  const { backend } = surroundings;
  const call = <T>(read: () => Promise<T>): Promise<T> => patiently(surroundings, read);
  if ((await call(() => backend.readExecutionState({ executionId }))) === undefined)
    throw new RunNotFoundError(executionId);
  let cursor: string | undefined;
  do {
    // Every page reads the waits of the run, however few of its signals it has.
    const page = await call(() => backend.listSignals({ executionId, cursor, limit: LIMITS.maxPageSize }));
    for (const summary of page.signals) {
      const { id, name, payload, from, at, isKept: kept } = receivedOf(summary);
      yield { id, name, payload: payload(), from, at, kept };
    }
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

/** The signals that a run has received. */
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { receivedOf, type Received, type Signal } from '../../worker/waits/signals.js';
import { patiently, type Caller } from '../patience.js';

/** A signal that a run has received. */
export interface RunSignal extends Signal {
  /**
   * Whether it came before a wait for it: the next wait for its name takes it, or has taken it. Otherwise a wait
   * took it when it came.
   */
  readonly kept: boolean;
}

type Reading = Caller & { readonly backend: Backend };

/** In the order in which they were accepted. @throws RunNotFoundError; EngineError `corruption` for an unreadable payload */
export async function* signalsOfRun(
  surroundings: Reading,
  executionId: string,
): AsyncGenerator<RunSignal, void, undefined> {
  const { backend } = surroundings;
  if ((await patiently(surroundings, () => backend.readExecutionState({ executionId }))) === undefined)
    throw new RunNotFoundError(executionId);
  for await (const received of receivedBy(surroundings, executionId)) {
    const { id, name, payload, from, at, isKept: kept } = received;
    yield { id, name, payload: payload(), from, at, kept };
  }
}

/** The same, with payloads that are not decoded yet. */
export async function* receivedBy(
  surroundings: Reading,
  executionId: string,
): AsyncGenerator<Received, void, undefined> {
  const { backend } = surroundings;
  let cursor: string | undefined;
  do {
    // Every page reads the waits of the run, however few of its signals it has.
    const page = await patiently(surroundings, () =>
      backend.listSignals({ executionId, cursor, limit: LIMITS.maxPageSize }),
    );
    yield* page.signals.map(receivedOf);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

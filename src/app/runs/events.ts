/** What happens to one run, from the log of its partition. */
import { isOfExecution, type Event, type ExecutionEvent } from '../../../model/events.js';
import { partitionOfExecution } from '../../../model/ids.js';
import type { Backend } from '../../backend.js';
import type { Clock } from '../../engine/clock.js';
import { earliestOf, readEvents } from '../../log.js';
import { checkSignal } from '../../shared/checks.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { isEnd } from '../results/ends.js';

/** An event of a run: its `type`, its time `at` (ms since the epoch), and the facts of that type. */
export type RunEvent = ExecutionEvent;

export interface RunEventsOptions {
  /** Ends the iteration, which throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Types of events with which a run ends. */
const ENDS: ReadonlySet<string> = new Set([
  'execution_completed',
  'execution_failed',
  'execution_cancelled',
  'execution_expired',
]);

/**
 * Everything that happened to a run and happens, as far back as the log is kept, until it has ended.
 * @throws RunNotFoundError; EngineError `cursor_too_old` or `cursor_lost` when events that were to come are gone; what the
 * backend throws for good
 */
export async function* runEvents(
  backend: Backend,
  clock: Clock,
  executionId: string,
  options: RunEventsOptions,
): AsyncGenerator<RunEvent, void, undefined> {
  knownOnly<RunEventsOptions>('events', options, { signal: true });
  const { signal } = options;
  checkSignal('events', 'signal', signal);
  signal?.throwIfAborted();
  const isOfRun = (event: Event): event is RunEvent => isOfExecution(event) && event.executionId === executionId;
  // Of a run that has ended, the log says nothing that is not there by now.
  if (await hasEnded(backend, executionId)) {
    for await (const event of kept(backend, executionId)) {
      signal?.throwIfAborted();
      if (isOfRun(event)) yield event;
    }
    return;
  }
  const { Subscriptions } = await import('../../subscribing/index.js');
  const subscription = await new Subscriptions(backend, clock).events({ executionId, from: 'earliest', signal });
  for await (const { event } of subscription) {
    if (!isOfRun(event)) continue;
    yield event;
    // One that was replayed goes on.
    if (ENDS.has(event.type) && (await hasEnded(backend, executionId))) return;
  }
}

async function hasEnded(backend: Backend, executionId: string): Promise<boolean> {
  const state = await backend.readExecutionState({ executionId });
  if (state === undefined) throw new RunNotFoundError(executionId);
  return isEnd(state);
}

/** Every event that the log of the run's partition keeps. */
async function* kept(backend: Backend, executionId: string): AsyncGenerator<Event, void, undefined> {
  const partition = partitionOfExecution(executionId);
  const after = await earliestOf(backend, partition);
  for await (const { event } of readEvents(backend, { partition, ...(after === undefined ? {} : { after }) }))
    yield event;
}

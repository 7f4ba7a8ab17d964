/** The events of one run, from the log of its partition. */
import { isOfExecution, type ExecutionEvent, type ReadEvent } from '../../../model/events.js';
import { partitionOfExecution } from '../../../model/ids.js';
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { withRetries } from '../../engine/retry.js';
import { earliestOf, readEvents, type LogSource } from '../../engine/log.js';
import { checkSignal } from '../../shared/checks.js';
import { RunNotFoundError } from '../../shared/errors.js';
import { knownOnly } from '../../shared/known-only.js';
import { ENDING_TYPES } from '../../subscribing/completion.js';
import { isEnd } from '../results/ends.js';

/** An event of a run: its `type`, its time `at` (ms since the epoch), and the facts of that type. */
export type RunEvent = ExecutionEvent;

export interface RunEventsOptions {
  /** Ends the iteration, which throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Types of events with which a run ends. */
const ENDS: ReadonlySet<string> = new Set(ENDING_TYPES);

/** @throws InvalidDefinitionError */
export function checkEventsOptions(options: RunEventsOptions): void {
  knownOnly<RunEventsOptions>('events', options, { signal: true });
  checkSignal('events', 'signal', options.signal);
}

/** Reads until the store answers, fails for good, or the reader has left. */
type Read = <Answer>(read: () => Promise<Answer>) => Promise<Answer>;

/**
 * Everything that happened to a run and happens, as far back as the log is kept, until it has ended. While the store
 * cannot be reached, it waits.
 * @throws RunNotFoundError; EngineError `cursor_too_old` or `cursor_lost` when events that were to come are gone; what the
 * backend throws for good; the reason of the signal
 */
export async function* runEvents(
  backend: Backend,
  clock: Clock,
  executionId: string,
  signal: AbortSignal,
): AsyncGenerator<RunEvent, void, undefined> {
  signal.throwIfAborted();
  const read: Read = (call) => withRetries(clock, Infinity, call, signal);
  const isOfRun = (event: ReadEvent): event is RunEvent => isOfExecution(event) && event.executionId === executionId;
  const hasEnded = async (): Promise<boolean> => {
    const state = await read(() => backend.readExecutionState({ executionId }));
    if (state === undefined) throw new RunNotFoundError(executionId);
    return isEnd(state);
  };
  // The log of an ended run is complete: reading it once is enough.
  if (await hasEnded()) {
    for await (const event of kept({ readLog: (args) => read(() => backend.readLog(args)) }, executionId)) {
      signal.throwIfAborted();
      if (isOfRun(event)) yield event;
    }
    return;
  }
  const { Subscriptions } = await import('../../subscribing/index.js');
  const subscription = await new Subscriptions(backend, clock).events({ executionId, from: 'earliest', signal });
  for await (const { event } of subscription) {
    if (!isOfRun(event)) continue;
    yield event;
    // A replayed run continues after its end.
    if (ENDS.has(event.type) && (await hasEnded())) return;
  }
}

/** Every event that the log of the run's partition keeps. */
async function* kept(log: LogSource, executionId: string): AsyncGenerator<ReadEvent, void, undefined> {
  const partition = partitionOfExecution(executionId);
  const after = await earliestOf(log, partition);
  for await (const { event } of readEvents(log, { partition, ...(after === undefined ? {} : { after }) })) yield event;
}

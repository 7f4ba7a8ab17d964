/** The events of one run, from the log of its partition. */
import { isOfExecution, type ExecutionEvent, type ReadEvent } from '../../../model/events.js';
import type { ExecutionInfo } from '../../../model/execution/projections.js';
import { partitionIndexOf, partitionOfExecution } from '../../../model/ids.js';
import type { Backend } from '../../backend/backend.js';
import type { Clock } from '../../engine/clock.js';
import { withRetries } from '../../engine/retry.js';
import { readEvents } from '../../engine/log.js';
import { earliestPlace, placeBefore, type LogPlace, type LogSource } from '../../engine/log-search.js';
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

/** A log that begins so long after the end of a run has nothing of it, ms: the clock of a server can be set back. */
const CLOCK_STEP_MS = 3_600_000;

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
  const factsNow = async (): Promise<ExecutionInfo> => {
    const info = await read(() => backend.readExecutionInfo({ executionId }));
    if (info === undefined) throw new RunNotFoundError(executionId);
    return info;
  };
  const log: LogSource = { readLog: (args) => read(() => backend.readLog(args)) };
  const partition = partitionOfExecution(executionId);
  const known = await factsNow();
  const hadEnded = isEnd(known.publicState);
  for (const place of await placesOf(log, partition, known)) {
    let isWhole = false;
    let ends = 0;
    let endedAt = Infinity;
    // The log of an ended run is complete: reading it once is enough.
    const entries = hadEnded
      ? readEvents(log, { partition, ...(place.after === undefined ? {} : { after: place.after }) })
      : await followed(backend, clock, { executionId, place, signal });
    for await (const { event } of entries) {
      signal.throwIfAborted();
      // The same step can have closed a stream after the end.
      if (event.at > endedAt) return;
      if (!isOfExecution(event) || event.executionId !== executionId) continue;
      isWhole ||= event.type === 'execution_created';
      if (!isWhole && !place.isEarliest) break;
      yield event;
      if (!ENDS.has(event.type)) continue;
      ends += 1;
      if (!hadEnded && isLastEnd(await factsNow(), ends, isWhole)) return;
      if (hadEnded && isWhole && ends > known.replayCount) endedAt = event.at;
    }
    if (isWhole) return;
  }
}

/** Whether a run is over with this end. Each replay has an end of its own; without the creation, ends may be missing. */
const isLastEnd = ({ publicState, replayCount }: ExecutionInfo, ends: number, isWhole: boolean): boolean =>
  isEnd(publicState) && (!isWhole || ends > replayCount);

/**
 * Where the events of a run can begin: at its creation; at the oldest entry, if the clock was set back and the search
 * missed the creation.
 */
async function placesOf(
  log: LogSource,
  partition: string,
  { createdAt, publicState, lastTransitionAt }: ExecutionInfo,
): Promise<readonly LogPlace[]> {
  const place = await placeBefore(log, partition, createdAt);
  if (!place.isEarliest) return [place, await earliestPlace(log, partition)];
  if (place.after === undefined || !isEnd(publicState)) return [place];
  // Of a run that ended long before the log begins, nothing is kept.
  const { events } = await log.readLog({ partition, after: place.after, limit: 1 });
  return (events[0]?.event.at ?? 0) > lastTransitionAt + CLOCK_STEP_MS ? [] : [place];
}

/** The events of a run from a place on, and those to come. */
async function followed(
  backend: Backend,
  clock: Clock,
  { executionId, place, signal }: { executionId: string; place: LogPlace; signal: AbortSignal },
): Promise<AsyncIterable<{ readonly event: ReadEvent }>> {
  const { Subscriptions } = await import('../../subscribing/index.js');
  const { encodePositions } = await import('../../subscribing/positions.js');
  const partition = partitionIndexOf(partitionOfExecution(executionId));
  const from = place.isEarliest || place.after === undefined ? 'earliest' : encodePositions(partition, [place.after]);
  return new Subscriptions(backend, clock).events({ executionId, from, signal });
}
